"""Distillers: what is read from student and teacher, and which losses compare it."""
from .averaged import AveragedTeachers
from .base import DenseDistiller
from .composite import CompositeDistiller
from .connectors import DenseRows
from .crosskd import CrossKDDistiller
from .cskd import CSKDDistiller
from .hkd import HKDDistiller
from .hkd_schedule import HKDSchedule, HKDStage
from .recorders import ForwardRecorder, MethodRecorder
from .weak_label import WeakLabelDistiller
from .weight_schedule import WeightSchedule

__all__ = [
    'AveragedTeachers', 'CSKDDistiller', 'CompositeDistiller', 'CrossKDDistiller',
    'DenseDistiller', 'DenseRows', 'ForwardRecorder', 'HKDDistiller', 'HKDSchedule', 'HKDStage',
    'MethodRecorder', 'WeakLabelDistiller', 'WeightSchedule'
]
