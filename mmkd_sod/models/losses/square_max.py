"""Maximum over a square around each position, fast on a CPU too, to the bit what pooling gives."""
import torch
import torch.nn.functional as F
from torch import Tensor


def _pooled_down(x: Tensor, window: int) -> Tensor:
    """Maximum over ``window`` positions along H, with torch's gradient.

    To torch the columns are channels that lie beside each other, (N, W, H, 1) in channels_last,
    whose pooling is vectorised over channels.
    """
    number, channels, height, width = x.shape
    lines = x.contiguous().view(number * channels, height, 1, width).permute(0, 3, 1, 2)
    lines = F.max_pool2d(lines, (window, 1), stride=1, padding=(window // 2, 0))
    return lines.permute(0, 2, 3, 1).reshape(x.shape)


def _largest(x: Tensor, window: int, dim: int) -> Tensor:
    """Maximum over ``window`` positions along a dimension, from windows that double: no gradient.
    """
    padding = [0, 0] * (x.dim() - 1 - dim) + [window // 2] * 2
    x = F.pad(x, padding, value=float('-inf'))
    side = 1
    while side < window:
        step = min(side, window - side)
        number = x.shape[dim] - step
        x = torch.maximum(x.narrow(dim, 0, number), x.narrow(dim, step, number))
        side += step
    return x


def square_max(x: Tensor, window: int) -> Tensor:
    """Maximum over a square of odd side ``window`` around each position, inside the image.

    Rows first, then columns: the values of one square pooling for 2/``window`` of its work. On a
    CPU torch's pooling of a map with few channels goes value by value, a third of a training step
    of a light network at the side 13; there rows and columns are pooled as if they were channels,
    and where no gradient is asked for, as of a target, by maxima of shifted maps. A maximum is not
    rounded, so values are those of the pooling, and so are gradients: of equal values the first in
    the row, then the first in the column, gets it.

    Args:
        x (Tensor): (N, C, H, W), floating.
        window (int): Odd side; 1 returns ``x``.

    Returns:
        Tensor: Of the same shape.
    """
    if window == 1:
        return x
    if not x.is_cpu:
        x = F.max_pool2d(x, (1, window), stride=1, padding=(0, window // 2))
        return F.max_pool2d(x, (window, 1), stride=1, padding=(window // 2, 0))
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _largest(_largest(x, window, 3), window, 2)
    return _pooled_down(_pooled_down(x.transpose(2, 3), window).transpose(2, 3), window)
