"""Watching what a distiller's losses are given, and which of them gives which term."""
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from mmrazor.models.distillers import BaseDistiller
from torch import nn

from mmkd_sod.models.distillers.base import Distiller
from mmkd_sod.utils.tensors import flat

# Names that losses give their first two arguments.
_STUDENT = ('student', 'preds_S', 's_feature', 'pred', 'logits', 'input')


@dataclass
class Argument:
    """Tensors that one argument brought.

    Attributes:
        name (str): The argument's name.
        shapes (list): Shape of each tensor.
        low, high, mean (float): Over all of them, finite values only.
        finite (bool): Whether all values are finite.
    """
    name: str
    shapes: list
    low: float
    high: float
    mean: float
    finite: bool


@dataclass
class LossCall:
    """One call of a loss of a distiller.

    Attributes:
        loss (str): The loss's name in the distiller, and its method where it is not the forward.
        module (nn.Module): The loss.
        path (str): Its name in the distiller.
        seen (list[Argument]): Arguments that hold tensors, the student's first.
        outputs (list[Tensor]): What it gave, so that a term can be traced to its loss.
    """
    loss: str
    module: nn.Module
    path: str
    seen: list
    outputs: list = field(default_factory=list)


@torch.no_grad()
def look(name: str, tensors: list) -> Argument:
    """Shapes and range of an argument's tensors."""
    shapes = [tuple(tensor.shape) for tensor in tensors]
    values = torch.cat([tensor.detach().float().flatten() for tensor in tensors])
    good = values[values.isfinite()]
    if not len(good):
        return Argument(name, shapes, float('nan'), float('nan'), float('nan'), not len(values))
    return Argument(name, shapes, float(good.min()), float(good.max()), float(good.mean()),
                len(good) == len(values))


def _methods(module: nn.Module) -> list:
    """Methods beside the forward that compare a student with a teacher."""
    found = []
    for name, function in inspect.getmembers(type(module), inspect.isfunction):
        if name.startswith('_') or name == 'forward' or hasattr(nn.Module, name):
            continue
        if list(inspect.signature(function).parameters)[1:3] == ['student', 'teacher']:
            found.append(name)
    return found


class _Watch:
    """Keeps outermost calls of a distiller's losses."""

    def __init__(self) -> None:
        self.found: list[LossCall] = []
        self._depth = 0

    def enter(self, path: str, method: str, module: nn.Module, args: tuple, kwargs: dict) -> None:
        """A call begins."""
        self._depth += 1
        if self._depth > 1:
            return
        function = getattr(type(module), method)
        arguments: dict
        try:
            arguments = inspect.signature(function).bind(module, *args, **kwargs).arguments
        except TypeError:
            arguments = dict(enumerate(args)) | kwargs
        seen = [look(str(name), tensors) for name, value in arguments.items()
                if name not in ('self', 'weight') and (tensors := flat(value))
                and any(tensor.dim() for tensor in tensors)]
        seen.sort(key=lambda item: item.name not in _STUDENT)
        self.found.append(LossCall(
            path if method == 'forward' else f'{path}.{method}', module, path, seen))

    def leave(self, output) -> None:
        """A call ends; None where it failed."""
        if self._depth == 1:
            self.found[-1].outputs = flat(output)
        self._depth -= 1


def _wrap(watch: _Watch, path: str, module: nn.Module, method: str):
    original = getattr(module, method)

    def watched(*args, **kwargs):
        watch.enter(path, method, module, args, kwargs)
        output = None
        try:
            output = original(*args, **kwargs)
        finally:
            watch.leave(output)
        return output

    return watched


@contextmanager
def watch(distiller: nn.Module) -> Iterator[list]:
    """Watch the losses of a distiller while the context is open.

    Argument are the outermost calls of its sub-modules, and of their methods ``(student, teacher)``,
    that bring tensors in at least two arguments; distillers inside of it are looked into.

    Args:
        distiller (nn.Module): A distiller of this package or of mmrazor.

    Yields:
        list[LossCall]: Filled as calls are made; complete when the context ends.
    """
    state, handles = _Watch(), []
    found: list = []
    for path, module in distiller.named_modules():
        if isinstance(module, (Distiller, BaseDistiller)):
            continue
        for method in ('forward', *_methods(module)):
            if method in vars(module):
                continue
            setattr(module, method, _wrap(state, path, module, method))
            handles.append((module, method))
    try:
        yield found
    finally:
        for module, method in handles:
            delattr(module, method)
        found += [call for call in state.found if len(call.seen) > 1]
