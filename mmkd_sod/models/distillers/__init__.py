"""Distillers: what is recorded of student and teacher, and which losses compare it."""

from mmkd_sod.models.recorders import ForwardRecorder, MethodRecorder, Record, Recorder

from .averaged import AveragedTeachers
from .base import DenseDistiller, Distiller, Recorders, Requirements
from .composite import CompositeDistiller
from .connectors import DenseRows, ValidPositions
from .crosskd import CrossKDDistiller
from .cskd import CSKDDistiller
from .hkd import HKDDistiller
from .hkd_schedule import HKDSchedule, HKDStage
from .mmrazor_adapter import as_distiller
from .weak_label import WeakLabelDistiller
from .weight_schedule import WeightSchedule

__all__ = [
    'AveragedTeachers',
    'CSKDDistiller',
    'CompositeDistiller',
    'CrossKDDistiller',
    'DenseDistiller',
    'DenseRows',
    'Distiller',
    'ForwardRecorder',
    'HKDDistiller',
    'HKDSchedule',
    'HKDStage',
    'MethodRecorder',
    'Record',
    'Recorder',
    'Recorders',
    'Requirements',
    'ValidPositions',
    'WeakLabelDistiller',
    'WeightSchedule',
    'as_distiller',
]
