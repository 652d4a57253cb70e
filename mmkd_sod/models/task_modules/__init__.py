"""Readers of detection heads: their towers, predictions and targets."""

from .alignment import align_scale, channel_stats
from .anchor import AnchorBoxReader, ATSSReader, DDODReader, RetinaReader
from .base import (
    DensePredictions,
    DenseTargets,
    DistanceReader,
    HeadReader,
    ObjectnessReader,
    PointReader,
    flatten_levels,
    joint_logits,
    level_rows,
    prior_rows,
)
from .fcos import FCOSReader
from .gfl import BinsReader, GFLReader, SABLReader
from .lookup import REFUSED, find_reader, reader_class
from .paa import LADReader, PAAReader
from .points import AutoAssignReader, CenterNetUpdateReader, FoveaReader
from .reppoints import RepPointsReader
from .retina_variants import FreeAnchorReader, FSAFReader
from .task_aligned import RTMDetReader, TOODReader
from .towers import TowerReader
from .vfnet import VFNetReader
from .yolo import YOLOFReader, YOLOXReader

__all__ = [
    'REFUSED',
    'ATSSReader',
    'AnchorBoxReader',
    'AutoAssignReader',
    'BinsReader',
    'CenterNetUpdateReader',
    'DDODReader',
    'DensePredictions',
    'DenseTargets',
    'DistanceReader',
    'FCOSReader',
    'FSAFReader',
    'FoveaReader',
    'FreeAnchorReader',
    'GFLReader',
    'HeadReader',
    'LADReader',
    'ObjectnessReader',
    'PAAReader',
    'PointReader',
    'RTMDetReader',
    'RepPointsReader',
    'RetinaReader',
    'SABLReader',
    'TOODReader',
    'TowerReader',
    'VFNetReader',
    'YOLOFReader',
    'YOLOXReader',
    'align_scale',
    'channel_stats',
    'find_reader',
    'flatten_levels',
    'joint_logits',
    'level_rows',
    'prior_rows',
    'reader_class',
]
