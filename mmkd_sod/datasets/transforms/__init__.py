"""Data transforms."""

from .rgbd_loading import LoadDepth, PackRGBDInputs
from .sod_augment import RandomBlur, RandomContrastBrightness, RandomEdgeCrop
from .sod_loading import LoadSODImage, LoadSODMask, PackSODInputs
from .teacher_view import TeacherView
from .weak_label import LoadWeakLabel, PredictWeakLabel

__all__ = [
    'LoadDepth',
    'LoadSODImage',
    'LoadSODMask',
    'LoadWeakLabel',
    'PackRGBDInputs',
    'PackSODInputs',
    'PredictWeakLabel',
    'RandomBlur',
    'RandomContrastBrightness',
    'RandomEdgeCrop',
    'TeacherView',
]
