"""Readers of detectors for CrossKD: what of a teacher runs on a student's features."""

from .alignment import align_scale, align_streams, channel_stats
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
from .cascade import CascadeCross, HybridTaskCascadeCross
from .crossing import Comparison, CrossReader
from .dense import DenseCross
from .detr import DenoisingCross, QueryCross
from .fcos import CondInstReader, FCOSReader
from .gfl import BinsReader, GFLReader, SABLReader
from .kinds import cross_reader_class, crossing_head, find_cross_reader
from .lookup import REFUSED, find_reader, reader_class
from .mask_former import MaskFormerCross
from .paa import LADReader, PAAReader
from .points import AutoAssignReader, CenterNetUpdateReader, FoveaReader
from .reppoints import RepPointsReader
from .retina_variants import FreeAnchorReader, FSAFReader
from .sparse import SparseCross
from .task_aligned import RTMDetInsReader, RTMDetReader, TOODReader
from .towers import TowerReader
from .two_stage import TwoStageCross
from .vfnet import VFNetReader
from .yolo import YOLOFReader, YOLOXReader
from .yolov3 import YOLOV3Cross

__all__ = [
    'REFUSED',
    'ATSSReader',
    'AnchorBoxReader',
    'AutoAssignReader',
    'BinsReader',
    'CascadeCross',
    'CenterNetUpdateReader',
    'Comparison',
    'CondInstReader',
    'CrossReader',
    'DDODReader',
    'DenoisingCross',
    'DenseCross',
    'DensePredictions',
    'DenseTargets',
    'DistanceReader',
    'FCOSReader',
    'FSAFReader',
    'FoveaReader',
    'FreeAnchorReader',
    'GFLReader',
    'HeadReader',
    'HybridTaskCascadeCross',
    'LADReader',
    'MaskFormerCross',
    'ObjectnessReader',
    'PAAReader',
    'PointReader',
    'QueryCross',
    'RTMDetInsReader',
    'RTMDetReader',
    'RepPointsReader',
    'RetinaReader',
    'SABLReader',
    'SparseCross',
    'TOODReader',
    'TowerReader',
    'TwoStageCross',
    'VFNetReader',
    'YOLOFReader',
    'YOLOV3Cross',
    'YOLOXReader',
    'align_scale',
    'align_streams',
    'channel_stats',
    'cross_reader_class',
    'crossing_head',
    'find_cross_reader',
    'find_reader',
    'flatten_levels',
    'joint_logits',
    'level_rows',
    'prior_rows',
    'reader_class',
]
