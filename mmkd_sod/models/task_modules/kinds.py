"""Finds the reader of a pair of detectors."""

from typing import Any

from mmengine.model import BaseModel
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.submodules import submodule
from mmkd_sod.registry import CROSS_READERS, HEAD_READERS

from .crossing import CrossReader
from .dense import DenseCross
from .lookup import reader_class, refusal

# Where detectors have the head that crosses, in this order.
_HEADS = ('roi_head', 'bbox_head', 'panoptic_head', 'mask_head')


def crossing_head(model: nn.Module, owner: str) -> nn.Module:
    """Return the head whose features can be those of another network.

    Args:
        model (nn.Module): A detector.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: The model has no such head.
    """
    for name in _HEADS:
        head = submodule(model, name)
        if head is not None:
            return head
    raise ConfigError(
        f'CrossKDDistiller: the {owner} {type(model).__name__} has no bbox_head or roi_head; use a '
        'detector'
    )


def cross_reader_class(head: type, owner: str) -> type[CrossReader]:
    """Return the reader class for a class of heads that cross.

    A head gets the reader registered for its own class name or for its nearest base class with one;
    heads of ``HEAD_READERS`` are dense.

    Args:
        head (type): A class of heads.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: There is no reader for the head, or it cannot be distilled across heads.
    """
    for cls in head.__mro__:
        refusal(cls.__name__, head.__name__, owner)
        reader = CROSS_READERS.get(cls.__name__)
        if reader is not None:
            return reader
        if HEAD_READERS.get(cls.__name__) is not None:
            break
    reader_class(head, owner)
    return DenseCross


def find_cross_reader(student: BaseModel, teacher: BaseModel, **options: Any) -> CrossReader:
    """Return the reader of a pair.

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
        options: Options of ``CrossKDDistiller``.

    Raises:
        ConfigError: There is no reader for one of them, they are of different kinds, or they do not
            fit; the message names both sides.
    """
    heads = crossing_head(student, 'student'), crossing_head(teacher, 'teacher')
    ours, theirs = (
        cross_reader_class(type(head), owner)
        for head, owner in zip(heads, ('student', 'teacher'), strict=True)
    )
    if ours is not theirs:
        names = [type(head).__name__ for head in heads]
        raise ConfigError(
            f"CrossKDDistiller: the student's {names[0]} ({ours.kind}) and the teacher's "
            f'{names[1]} ({theirs.kind}) are of different kinds; use a teacher of the same kind, '
            "or distil the neck's features with PKD (docs/mmrazor.md)"
        )
    return ours(student, teacher, **options)
