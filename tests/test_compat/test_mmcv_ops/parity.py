"""Run mmcv's own functions on our operators and on the compiled ones, and compare."""

import importlib
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType, SimpleNamespace

import pytest
import torch

FORWARD, BACKWARD = 1e-5, 1e-4


def _is_compiled() -> bool:
    try:
        extension = importlib.import_module('mmcv._ext')
    except ImportError:
        return False
    return str(getattr(extension, '__file__', None)).endswith(tuple(EXTENSION_SUFFIXES))


def family(name: str) -> ModuleType:
    """A module of our operators by its name."""
    return importlib.import_module(f'mmkd_sod.compat.mmcv_ops.{name}')


needs_compiled = pytest.mark.skipif(
    not _is_compiled(), reason='mmcv has no compiled operators here to compare with'
)


class Operators:
    """Functions of a module of ``mmcv.ops`` that run on operators of ours.

    Args:
        module (str): Name of the module in ``mmcv.ops``.
        ours (module): With the dict ``OPERATORS``.
        monkeypatch: The fixture.
    """

    def __init__(self, module: str, ours: ModuleType, monkeypatch) -> None:
        # `mmcv.ops.nms` is also a function, and an attribute wins over a module.
        self.module = importlib.import_module(f'mmcv.ops.{module}')
        self.compiled = self.module.ext_module
        self.plain = SimpleNamespace(**ours.OPERATORS)
        self._monkeypatch = monkeypatch
        self.use(self.plain)

    def __getattr__(self, name: str):
        return getattr(self.module, name)

    def use(self, operators) -> None:
        """Let mmcv's module call these operators."""
        self._monkeypatch.setattr(self.module, 'ext_module', operators)

    def both(self, function: Callable):
        """What a function without arguments returns on ours and on the compiled operators."""
        self.use(self.plain)
        ours = function()
        self.use(self.compiled)
        try:
            return ours, function()
        finally:
            self.use(self.plain)


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference over the largest magnitude; 0 for two empty tensors."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    if not theirs.numel():
        return 0.0
    ours, theirs = ours.double(), theirs.double()
    assert torch.isfinite(ours).all() and torch.isfinite(theirs).all()
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30))


def gradients(function: Callable, *inputs: torch.Tensor) -> tuple:
    """Output of a function, and gradients of a fixed weighting of it by all inputs."""
    leaves = [one.detach().clone().requires_grad_() for one in inputs]
    output = function(*leaves)
    weighting = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).cos()
    return output.detach(), torch.autograd.grad(output, leaves, weighting.view_as(output))


def assert_alike(operators: Operators, function: Callable, *inputs: torch.Tensor) -> None:
    """Output and gradients by all inputs agree with the compiled operators'."""
    ours, theirs = operators.both(lambda: gradients(function, *inputs))
    assert difference(ours[0], theirs[0]) <= FORWARD
    for mine, other in zip(ours[1], theirs[1], strict=True):
        assert difference(mine, other) <= BACKWARD
