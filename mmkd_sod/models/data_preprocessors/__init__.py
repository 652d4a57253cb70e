"""Data preprocessors for more than one input."""
from .sod_data_preprocessor import SODDataPreprocessor

__all__ = ['SODDataPreprocessor']
