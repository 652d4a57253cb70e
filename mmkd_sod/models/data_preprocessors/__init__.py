"""Data preprocessors for more than one input."""
from .rgbd import RGBDDataPreprocessor
from .sod_data_preprocessor import SODDataPreprocessor

__all__ = [
    'RGBDDataPreprocessor', 'SODDataPreprocessor'
]
