"""Tensors in nested tuples, lists and dicts."""

from collections.abc import Callable
from typing import Any

from torch import Tensor


def flat(value) -> list[Tensor]:
    """Return all floating tensors of nested tuples, lists and dicts, in order."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in flat(item)]
    return []


def map_tensors(value, change: Callable[[Tensor], Any]):
    """Apply a function to every tensor of nested tuples, lists and dicts; keep other values."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: map_tensors(item, change) for key, item in value.items()}
    if type(value) in (tuple, list):  # not named tuples, whose constructors differ
        return type(value)(map_tensors(item, change) for item in value)
    return value
