"""Adaptive average pooling that can be exported to ONNX."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def _averages(side: Any, bins: int, like: Tensor) -> Tensor:
    """Return the weights of the bins (bins, side); bin i is floor(i s / b) to ceil((i + 1) s / b).

    ``side`` is an int or, while tracing, a tensor, so that the weights depend on the input size.
    """
    index = torch.arange(bins, device=like.device)[:, None]
    position = torch.arange(side, device=like.device)[None]
    first = torch.div(index * side, bins, rounding_mode='floor')
    last = torch.div((index + 1) * side + (bins - 1), bins, rounding_mode='floor')
    inside = ((position >= first) & (position < last)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


class MatmulAdaptivePool(nn.Module):
    """``nn.AdaptiveAvgPool2d`` as two matrix products, for inputs of any size.

    torch can export ``nn.AdaptiveAvgPool2d`` only for a fixed input size that is a multiple of the
    output size.

    Args:
        output_size (int | tuple): Output size as of ``nn.AdaptiveAvgPool2d``; None keeps a side.
    """

    def __init__(self, output_size) -> None:
        super().__init__()
        sides = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
        self.rows, self.columns = sides

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, H, W) to (N, C, rows, columns)."""
        if self.rows is not None:
            x = _averages(x.shape[2], self.rows, x) @ x
        if self.columns is not None:
            x = x @ _averages(x.shape[3], self.columns, x).T
        return x


def with_exportable_pooling(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose adaptive poolings can be exported."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            # Pooling to one value is exported as GlobalAveragePool.
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
                setattr(parent, name, MatmulAdaptivePool(child.output_size))
    return model
