"""Recording the inputs and outputs of a distiller's losses."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from mmrazor.models.distillers import BaseDistiller
from torch import nn

from mmkd_sod.models.distillers.base import Distiller
from mmkd_sod.utils.tensors import flat

# Names of the student's argument in losses.
_STUDENT = ('student', 'preds_S', 's_feature', 'pred', 'logits', 'input')


@dataclass
class Argument:
    """Summary of the tensors in one argument.

    Attributes:
        name (str): Name of the argument.
        shapes (list): Shape of each tensor.
        low (float): Minimum of the finite values.
        high (float): Maximum of the finite values.
        mean (float): Mean of the finite values.
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
        loss (str): Name of the loss in the distiller, with the method unless it is ``forward``.
        module (nn.Module): The loss.
        path (str): Name of the loss in the distiller.
        arguments (list[Argument]): Arguments with tensors, the student's first.
        outputs (list[Tensor]): Outputs, which identify the terms of the loss.
    """

    loss: str
    module: nn.Module
    path: str
    arguments: list
    outputs: list = field(default_factory=list)


@torch.no_grad()
def summarise(name: str, tensors: list) -> Argument:
    """Return the shapes and the range of an argument's tensors."""
    shapes = [tuple(tensor.shape) for tensor in tensors]
    values = torch.cat([tensor.detach().float().flatten() for tensor in tensors])
    good = values[values.isfinite()]
    if not len(good):
        return Argument(name, shapes, float('nan'), float('nan'), float('nan'), not len(values))
    return Argument(
        name,
        shapes,
        float(good.min()),
        float(good.max()),
        float(good.mean()),
        len(good) == len(values),
    )


def _methods(module: nn.Module) -> list:
    """Return the names of methods, except ``forward``, that take student and teacher."""
    found = []
    for name, function in inspect.getmembers(type(module), inspect.isfunction):
        if name.startswith('_') or name == 'forward' or hasattr(nn.Module, name):
            continue
        if list(inspect.signature(function).parameters)[1:3] == ['student', 'teacher']:
            found.append(name)
    return found


class _CallRecorder:
    """Records outermost calls of a distiller's losses."""

    def __init__(self) -> None:
        self.calls: list[LossCall] = []
        self._depth = 0

    def start(self, path: str, method: str, module: nn.Module, args: tuple, kwargs: dict) -> None:
        """Record the arguments of a call that starts."""
        self._depth += 1
        if self._depth > 1:
            return
        function = getattr(type(module), method)
        arguments: dict
        try:
            arguments = inspect.signature(function).bind(module, *args, **kwargs).arguments
        except TypeError:
            arguments = dict(enumerate(args)) | kwargs
        found = [
            summarise(str(name), tensors)
            for name, value in arguments.items()
            if name not in ('self', 'weight')
            and (tensors := flat(value))
            and any(tensor.dim() for tensor in tensors)
        ]
        found.sort(key=lambda argument: argument.name not in _STUDENT)
        self.calls.append(
            LossCall(path if method == 'forward' else f'{path}.{method}', module, path, found)
        )

    def end(self, output) -> None:
        """Record the output of a call that ends, None if it failed."""
        if self._depth == 1:
            self.calls[-1].outputs = flat(output)
        self._depth -= 1


def _wrap(recorder: _CallRecorder, path: str, module: nn.Module, method: str):
    original = getattr(module, method)

    def recorded(*args, **kwargs):
        recorder.start(path, method, module, args, kwargs)
        output = None
        try:
            output = original(*args, **kwargs)
        finally:
            recorder.end(output)
        return output

    return recorded


@contextmanager
def record_loss_calls(distiller: nn.Module) -> Iterator[list]:
    """Record the calls of a distiller's losses in the context.

    Losses are its submodules, and their methods ``(student, teacher)``, except inner distillers.
    Only outermost calls with tensors in at least two arguments are recorded.

    Args:
        distiller (nn.Module): A distiller of this package or of mmrazor.

    Yields:
        list[LossCall]: The calls; filled when the context ends.
    """
    recorder, handles = _CallRecorder(), []
    found: list = []
    for path, module in distiller.named_modules():
        if isinstance(module, (Distiller, BaseDistiller)):
            continue
        for method in ('forward', *_methods(module)):
            if method in vars(module):
                continue
            setattr(module, method, _wrap(recorder, path, module, method))
            handles.append((module, method))
    try:
        yield found
    finally:
        for module, method in handles:
            delattr(module, method)
        found += [call for call in recorder.calls if len(call.arguments) > 1]
