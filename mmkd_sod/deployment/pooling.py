"""Adaptive average pooling that ONNX has an operation for."""
import copy
from typing import Any

import torch
from torch import Tensor, nn


def _averages(side: Any, bins: int, like: Tensor) -> Tensor:
    """(bins, side): the weights of each bin, the i-th from floor(i s / b) to ceil((i + 1) s / b).

    ``side`` is a number; in tracing it is a tensor, so that the weights follow the input's size.
    """
    index = torch.arange(bins, device=like.device)[:, None]
    place = torch.arange(side, device=like.device)[None]
    first = torch.div(index * side, bins, rounding_mode='floor')
    last = torch.div((index + 1) * side + (bins - 1), bins, rounding_mode='floor')
    inside = ((place >= first) & (place < last)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


class MatmulAdaptivePool(nn.Module):
    """``nn.AdaptiveAvgPool2d`` as two matrix products, for inputs of any size.

    torch exports the operation only where the output's size divides a fixed input's size.

    Args:
        output_size (int | tuple): As for ``nn.AdaptiveAvgPool2d``; None keeps a side.
    """

    def __init__(self, output_size) -> None:
        super().__init__()
        sides = output_size if isinstance(output_size, (tuple, list)) else (output_size, ) * 2
        self.rows, self.columns = sides

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, H, W) to (N, C, rows, columns)."""
        if self.rows is not None:
            x = _averages(x.shape[2], self.rows, x) @ x
        if self.columns is not None:
            x = x @ _averages(x.shape[3], self.columns, x).T
        return x


def with_exportable_pooling(model: nn.Module) -> nn.Module:
    """A copy of ``model`` whose adaptive poolings ONNX can hold; the model itself is left alone."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            # Pooling to one value is ONNX's own GlobalAveragePool.
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
                setattr(parent, name, MatmulAdaptivePool(child.output_size))
    return model
