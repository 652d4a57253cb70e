"""Data transforms."""
from .sod_augment import RandomBlur, RandomContrastBrightness, RandomEdgeCrop
from .sod_loading import LoadSODImage, LoadSODMask, PackSODInputs
from .weak_label import LoadWeakLabel, PredictWeakLabel

__all__ = [
    'LoadSODImage', 'LoadSODMask', 'LoadWeakLabel', 'PackSODInputs', 'PredictWeakLabel',
    'RandomBlur', 'RandomContrastBrightness', 'RandomEdgeCrop'
]
