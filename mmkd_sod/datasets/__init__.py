"""Data sets and generated scenes.

``camvid`` is not imported here, since only it needs mmseg.
"""

from .rgbd_cosod_dataset import RGBDCoSODDataset
from .sod_dataset import SODDataset, UnlabelledImageDataset

__all__ = ['RGBDCoSODDataset', 'SODDataset', 'UnlabelledImageDataset']
