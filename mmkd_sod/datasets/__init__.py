"""Data sets and the generator of scenes."""
from .rgbd_cosod_dataset import RGBDCoSODDataset
from .sod_dataset import SODDataset, UnlabelledImageDataset

__all__ = ['RGBDCoSODDataset', 'SODDataset', 'UnlabelledImageDataset']
