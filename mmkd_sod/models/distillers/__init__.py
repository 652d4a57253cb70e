"""Distillers: what is read from student and teacher, and which losses compare it."""
from .base import DenseDistiller
from .composite import CompositeDistiller
from .crosskd import CrossKDDistiller
from .recorders import ForwardRecorder, MethodRecorder

__all__ = [
    'CompositeDistiller', 'CrossKDDistiller', 'DenseDistiller', 'ForwardRecorder', 'MethodRecorder'
]
