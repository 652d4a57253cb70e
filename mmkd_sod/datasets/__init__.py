"""Data sets and the generator of scenes."""
from .sod_dataset import SODDataset, UnlabelledImageDataset

__all__ = ['SODDataset', 'UnlabelledImageDataset']
