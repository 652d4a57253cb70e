"""Data transforms."""
from .sod_augment import RandomBlur, RandomContrastBrightness, RandomEdgeCrop
from .sod_loading import LoadSODImage, LoadSODMask, PackSODInputs

__all__ = [
    'LoadSODImage', 'LoadSODMask', 'PackSODInputs', 'RandomBlur', 'RandomContrastBrightness',
    'RandomEdgeCrop'
]
