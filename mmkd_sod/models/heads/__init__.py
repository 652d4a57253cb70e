"""How the towers, predictions and targets of detection heads are read."""
from .alignment import align_scale, channel_stats
from .anchor import AnchorBoxReader, ATSSReader, RetinaReader
from .base import DensePredictions, DenseTargets, HeadReader, find_reader, flatten_levels
from .fcos import FCOSReader
from .gfl import GFLReader

__all__ = [
    'ATSSReader', 'AnchorBoxReader', 'DensePredictions', 'DenseTargets', 'FCOSReader', 'GFLReader',
    'HeadReader', 'RetinaReader', 'align_scale', 'channel_stats', 'find_reader', 'flatten_levels'
]
