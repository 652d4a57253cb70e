"""Convolutions of a frozen teacher's head with weights laid out once, for CPUs."""
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .frozen_convolution import FrozenConvolution, frozen_convolutions, replace_forwards

_MIN_WEIGHTS = 64 * 64  # below, there is nothing to win


class PackedConvolution(FrozenConvolution):
    """A convolution that keeps its weights as oneDNN's kernels want them.

    torch lays them out anew at every call, which for a head that is shared by the levels of a
    pyramid costs more than the coarse levels themselves. Takes the weights' memory again, twice
    where gradients pass. The answers are the direct convolution's up to the order of sums, in
    channels_last.
    """

    @property
    def _numbers(self) -> tuple:
        """Padding, stride, dilation, groups."""
        conv = self.conv
        return list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups

    def takes(self, x: Tensor) -> bool:
        """Whether an input is float32 on a CPU and no autocast is on."""
        return super().takes(x) and x.dtype == torch.float32

    def prepare(self, weight: Tensor, x: Tensor) -> Tensor:
        """To an opaque tensor."""
        return torch.ops.mkldnn._reorder_convolution_weight(
            weight.contiguous(), *self._numbers, list(x.shape))

    def run(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve (N, C_in, H, W)."""
        return torch.ops.mkldnn._convolution_pointwise(
            x.contiguous(memory_format=torch.channels_last), weight, bias, *self._numbers,
            'none', [], '')


def pack_shared_convolutions(teacher: nn.Module, forward: Callable[[], object],
                             leave: Sequence[nn.Module] = ()) -> Callable[[], None]:
    """Lay out once the weights of convolutions that run several times a forward.

    Args:
        teacher (nn.Module): A frozen network, on a CPU.
        forward (Callable): Runs the teacher.
        leave (Sequence[nn.Module]): Parts that stay as they are.

    Returns:
        Callable: Undoes it.
    """
    calls: Counter = Counter()
    convs = [conv for conv in frozen_convolutions(teacher, leave)
             if conv.weight.numel() >= _MIN_WEIGHTS]
    handles = [conv.register_forward_pre_hook(lambda module, _: calls.update([module]))
               for conv in convs]
    try:
        forward()
    finally:
        for handle in handles:
            handle.remove()
    return replace_forwards(PackedConvolution(conv) for conv in convs if calls[conv] > 1)
