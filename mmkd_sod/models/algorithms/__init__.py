"""Student, frozen teacher and distiller, put together."""
from .dense_distill import DenseDistill
from .frozen_teacher import FrozenTeacher
from .teacher_checkpoint import load_teacher_weights

__all__ = ['DenseDistill', 'FrozenTeacher', 'load_teacher_weights']
