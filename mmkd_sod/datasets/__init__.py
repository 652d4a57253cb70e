"""Data sets and the generator of scenes.

:mod:`.camvid` is not imported here: it needs mmseg, the others do not.
"""
from .rgbd_cosod_dataset import RGBDCoSODDataset
from .sod_dataset import SODDataset, UnlabelledImageDataset

__all__ = ['RGBDCoSODDataset', 'SODDataset', 'UnlabelledImageDataset']
