"""Data preprocessors for saliency and RGB-D inputs."""

from .rgbd import RGBDDataPreprocessor
from .sod_data_preprocessor import SODDataPreprocessor

__all__ = ['RGBDDataPreprocessor', 'SODDataPreprocessor']
