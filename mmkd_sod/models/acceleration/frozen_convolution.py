"""Convolutions of a frozen teacher that run otherwise than torch runs them."""
from collections.abc import Callable, Iterable, Iterator
from types import MethodType

import torch
from torch import Tensor, nn


class FrozenConvolution:
    """A convolution with fixed weights whose size and padding keep the size of the map.

    Gradients reach the input alone: that way back is a convolution too, with the weights turned by
    half a circle and both channel axes swapped.

    Args:
        conv (nn.Conv2d): The convolution; what it was runs where this one does not take an input.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        self.conv = conv
        self.plain = conv.forward
        self._prepared: dict[bool, tuple[tuple, Tensor]] = {}

    def prepare(self, weight: Tensor, x: Tensor) -> Tensor:
        """Lay (C_out, C_in, k, k) out as :meth:`run` wants it; ``x`` is the first input."""
        raise NotImplementedError

    def run(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve (N, C_in, H, W) with prepared weights."""
        raise NotImplementedError

    def takes(self, x: Tensor) -> bool:
        """Whether an input is one that this is made for."""
        return (x.is_cpu and x.dtype == self.conv.weight.dtype and x.numel() > 0
                and not torch.is_autocast_enabled('cpu'))

    def convolve(self, x: Tensor, backward: bool = False) -> Tensor:
        """Run on an input or, with ``backward``, on the gradient of an output."""
        weight = self.conv.weight.detach()
        state = weight.data_ptr(), weight._version
        known = self._prepared.get(backward)
        if known is None or known[0] != state:
            turned = weight.flip(2, 3).transpose(0, 1) if backward else weight
            known = self._prepared[backward] = state, self.prepare(turned, x)
        return self.run(x, known[1], None if backward else self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """What takes the place of the convolution's forward."""
        if not self.takes(x):
            return self.plain(x)
        return _Convolve.apply(x, self)


class _Convolve(torch.autograd.Function):

    @staticmethod
    def forward(ctx, x: Tensor, convolution: FrozenConvolution) -> Tensor:
        ctx.convolution, ctx.plain = convolution, x.is_contiguous()
        return convolution.convolve(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        found = ctx.convolution.convolve(grad, backward=True)
        # In the input's layout: kernels that meet both are slow where they differ.
        return found.contiguous() if ctx.plain else found, None


def keeps_size(module: nn.Module) -> bool:
    """Whether a module is a convolution that :class:`FrozenConvolution` can stand for."""
    return (type(module) is nn.Conv2d and module.padding_mode == 'zeros' and module.groups == 1
            and module.stride == (1, 1) and not isinstance(module.padding, str)
            and all(2 * padding == dilation * (size - 1) for padding, dilation, size in zip(
                module.padding, module.dilation, module.kernel_size, strict=True)))


def frozen_convolutions(teacher: nn.Module, leave: Iterable[nn.Module]) -> Iterator[nn.Conv2d]:
    """Convolutions of a network that keep the size of a map, without those of parts to leave."""
    left = {id(module) for part in leave for module in part.modules()}
    return (module for module in teacher.modules()
            if id(module) not in left and keeps_size(module))


def replace_forwards(convolutions: Iterable[FrozenConvolution]) -> Callable[[], None]:
    """Let convolutions run by what stands for them; returns what undoes it."""
    convolutions = list(convolutions)
    before = [one.conv.__dict__.get('forward') for one in convolutions]
    for one in convolutions:
        one.conv.forward = MethodType(lambda _, x, one=one: one.forward(x), one.conv)

    def undo() -> None:
        for one, forward in zip(convolutions, before, strict=True):
            del one.conv.forward
            if forward is not None:
                one.conv.forward = forward

    return undo
