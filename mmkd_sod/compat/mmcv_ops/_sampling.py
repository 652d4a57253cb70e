"""Bilinear sampling as weighted sums of the rows of a table, which most operators here are made of.

A feature map (N, C, H, W) becomes a table with a row of channels per pixel. A bilinear sample is
the weighted sum of four rows, a pooled bin that of more, and ``embedding_bag`` computes such sums,
and their gradients, without storing the single rows.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def plain(operator: Callable) -> Callable:
    """Let an operator work without gradients of its own and in the precision of its inputs."""

    @functools.wraps(operator)
    def wrapped(*args, **kwargs):
        device = next(one.device.type for one in args if isinstance(one, Tensor))
        with torch.no_grad():
            if not torch.amp.is_autocast_available(device):
                return operator(*args, **kwargs)
            with torch.autocast(device, enabled=False):
                return operator(*args, **kwargs)

    return wrapped


def limit(limits: dict[str, int], tensor: Tensor) -> int:
    """How many numbers may be stored at once where a tensor is: on a ``cpu``, or on a ``gpu``."""
    return limits['cpu' if tensor.device.type == 'cpu' else 'gpu']


def to_rows(maps: Tensor, groups: int = 1) -> Tensor:
    """Feature maps (N, C, H, W) as rows (N * H * W * groups, C / groups)."""
    # Without `contiguous`, a single map would only be viewed, and its rows be read with strides.
    return maps.permute(0, 2, 3, 1).contiguous().view(-1, maps.shape[1] // groups)


def to_maps(rows: Tensor, shape: tuple) -> Tensor:
    """Rows of ``to_rows`` as feature maps of a shape (N, C, H, W)."""
    count, channels, height, width = shape
    return rows.reshape(count, height, width, channels).permute(0, 3, 1, 2)


def weighted_rows(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Sums of weighted rows (B, C); differentiable by the table and the weights.

    Args:
        table (Tensor): (R, C).
        index (Tensor): Rows of each sum (B, n); 32-bit indices are several times faster on a CPU.
        weight (Tensor): Their weights (B, n).
    """
    return F.embedding_bag(index, table, mode='sum', per_sample_weights=weight.to(table.dtype))


def spread_rows(rows: Tensor, source: Tensor, target: Tensor, weight: Tensor, count: int) -> Tensor:
    """Add ``weight`` times the rows ``source`` to the rows ``target`` of zeros (count, C).

    That is the gradient of ``weighted_rows`` by its table, of which nothing else is needed.

    Args:
        rows (Tensor): (B, C).
        source, target, weight (Tensor): (E,).
        count (int): Rows of the result.
    """
    # What arrives at one row is again a weighted sum of rows.
    target, order = target.sort()
    starts = torch.searchsorted(
        target, torch.arange(count, dtype=target.dtype, device=target.device)
    )
    return F.embedding_bag(
        source[order],
        rows,
        starts.to(source.dtype),
        mode='sum',
        per_sample_weights=weight[order].to(rows.dtype),
    )


def zero_padded(position: Tensor, size: int | Tensor) -> tuple[Tensor, Tensor]:
    """Two pixels and weights (..., 2) along an axis of a map that is zero outside.

    Deformable convolution and attention sample so: linear to zero over one pixel beyond the border.
    Beyond that, and at a position that is NaN, the weights and their gradients are zero.

    Args:
        position (Tensor): Positions in pixels; a pixel's centre is a whole number.
        size (int | Tensor): Pixels along the axis.
    """
    inside = (position > -1) & (position < size)
    low = position.detach().floor().where(inside, 0)
    second = position - low
    valid = torch.stack([inside & (low >= 0), inside & (low + 1 < size)], -1)
    weight = torch.stack([1 - second, second], -1).where(valid, 0)
    # Where the weight is zero, the other pixel, which is near.
    index = torch.stack([low + (low < 0), low + valid[..., 1]], -1)
    return index.int(), weight


def edge_padded(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Two pixels and weights (..., 2) along an axis of a map that goes on for one pixel.

    RoI operators sample so: the border's value from -1 to ``size``, zero beyond.

    Args:
        position (Tensor): Positions in pixels; a pixel's centre is a whole number.
        size (int): Pixels along the axis.
    """
    inside = (position >= -1) & (position <= size)
    position = position.clamp(0, size - 1)
    low = position.floor()
    second = position - low
    weight = torch.stack([1 - second, second], -1).where(inside.unsqueeze(-1), 0)
    low = low.int()
    return torch.stack([low, (low + 1).clamp(max=size - 1)], -1), weight


def crossed(
    y: tuple[Tensor, Tensor], x: tuple[Tensor, Tensor], width: int | Tensor
) -> tuple[Tensor, Tensor]:
    """Pixels and weights (..., n * m) of n pixels along the height by m along the width.

    Args:
        y, x (tuple): Pixels and weights along each axis.
        width (int | Tensor): Pixels of a row of the map.
    """
    index = y[0].unsqueeze(-1) * width + x[0].unsqueeze(-2)
    weight = y[1].unsqueeze(-1) * x[1].unsqueeze(-2)
    return index.flatten(-2), weight.flatten(-2)
