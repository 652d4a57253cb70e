"""Student, frozen teacher and distiller, put together."""
from .dense_distill import DenseDistill
from .frozen_teacher import FrozenTeacher
from .teacher_checkpoint import load_teacher_weights
from .teacher_input import TeacherInput
from .teachers import Teachers

__all__ = ['DenseDistill', 'FrozenTeacher', 'TeacherInput', 'Teachers', 'load_teacher_weights']
