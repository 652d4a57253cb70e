"""Border features of boxes: ``border_align_*`` of ``mmcv._ext``.

Qiu et al., BorderDet, ECCV 2020, section 3.2: the largest of bilinear samples along each side.
"""

import torch
from torch import Tensor

from ._sampling import crossed, edge_padded, plain, to_rows, weighted_rows


def _points(boxes: Tensor, number: Tensor | int, pool_size: int) -> tuple[Tensor, Tensor]:
    """Sample ``number`` of each side, as y and x of shape (N, B, 4) or that of ``number``.

    Sides are top, left, bottom, right; the first two begin at x1, y1, the others at x2, y2.
    """
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    x1, y1, x2, y2 = boxes.unbind(2)
    width, height = (x2 - x1) / pool_size, (y2 - y1) / pool_size
    none = torch.zeros_like(width)
    x, y = torch.stack([x1, x1, x2, x2], 2), torch.stack([y1, y1, y2, y2], 2)
    right = torch.stack([width, none, -width, none], 2)
    down = torch.stack([none, height, none, -height], 2)
    if isinstance(number, Tensor):
        x, y, right, down = (one.unsqueeze(3) for one in (x, y, right, down))
    return y + number * down, x + number * right


@plain
def border_align_forward(
    maps: Tensor, boxes: Tensor, output: Tensor, argmax_idx: Tensor, *, pool_size: int
) -> None:
    """Write the largest sample of each side into ``output`` (N, C, B, 4).

    Args:
        maps (Tensor): (N, 4 * C, H, W), C channels for each side: top, left, bottom, right.
        boxes (Tensor): (N, B, 4) as x1, y1, x2, y2 in pixels.
        argmax_idx (Tensor): Of the output's shape; written with the numbers of these samples.
        pool_size (int): Steps along a side, between one sample more.
    """
    (number, _, height, width), rows = maps.shape, to_rows(maps, 4)
    largest = argmax = None
    image = torch.arange(number, device=maps.device).view(-1, 1, 1, 1) * (height * width)
    side = torch.arange(4, device=maps.device).unsqueeze(1)
    for step in range(pool_size + 1):
        y, x = _points(boxes, step, pool_size)
        index, weight = crossed(edge_padded(y, height), edge_padded(x, width), width)
        index = ((index + image) * 4 + side).int()
        values = weighted_rows(rows, index.flatten(0, 2), weight.flatten(0, 2))
        if largest is None:
            largest, argmax = values, torch.zeros_like(values, dtype=argmax_idx.dtype)
        else:
            argmax = argmax.where(values <= largest, step)
            largest = torch.maximum(values, largest)
    for target, found in ((output, largest), (argmax_idx, argmax)):
        target.copy_(found.view(number, -1, 4, rows.shape[1]).permute(0, 3, 1, 2))


@plain
def border_align_backward(
    grad_output: Tensor, boxes: Tensor, argmax_idx: Tensor, grad_input: Tensor, *, pool_size: int
) -> None:
    """Add the gradient by the maps to ``grad_input`` (N, 4 * C, H, W)."""
    number, _, height, width = grad_input.shape
    # (N, B, 4, C) from here on.
    argmax, grads = (one.permute(0, 2, 3, 1) for one in (argmax_idx, grad_output))
    y, x = _points(boxes, argmax, pool_size)
    index, weight = crossed(edge_padded(y, height), edge_padded(x, width), width)
    channels = grad_output.shape[1]
    plane = (
        torch.arange(number, device=boxes.device).view(-1, 1, 1, 1) * 4
        + torch.arange(4, device=boxes.device).unsqueeze(1)
    ) * channels
    plane = plane + torch.arange(channels, device=boxes.device)
    index = index + (plane * (height * width)).unsqueeze(-1)
    spread = weight.to(grads.dtype) * grads.unsqueeze(-1)
    grad_input.view(-1).scatter_add_(0, index.flatten(), spread.flatten())


OPERATORS = dict(
    border_align_forward=border_align_forward, border_align_backward=border_align_backward
)
