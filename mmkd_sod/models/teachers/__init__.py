"""Frozen teachers: one or several, their weights and their inputs."""

from .checkpoint import load_teacher_weights
from .foreign import ForeignTeacher
from .frozen_teacher import AbsentTeacher, FrozenTeacher
from .group import Teachers, build_teachers
from .onnx_teacher import OnnxTeacher
from .teacher_input import TeacherInput

__all__ = [
    'AbsentTeacher',
    'ForeignTeacher',
    'FrozenTeacher',
    'OnnxTeacher',
    'TeacherInput',
    'Teachers',
    'build_teachers',
    'load_teacher_weights',
]
