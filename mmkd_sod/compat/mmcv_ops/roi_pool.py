"""RoI pooling: ``roi_pool_*`` of ``mmcv._ext``.

Girshick, Fast R-CNN, ICCV 2015: each bin of a region of interest (RoI) is its largest pixel.
"""

import torch
from torch import Tensor

from ._sampling import limit, plain, to_rows
from .roi_align import ENTRIES, in_float


def _edges(rois: Tensor, bins: int, size: int, spatial_scale: float, axis: int) -> Tensor:
    """First pixel of each bin along an axis, and that behind its last, as whole (2, R, bins)."""
    start, end = rois[:, 2 - axis] * spatial_scale, (rois[:, 4 - axis] + 1) * spatial_scale
    step = ((end - start) / bins).unsqueeze(1)
    number = torch.arange(bins + 1, device=rois.device, dtype=rois.dtype)
    edges = number * step + start.unsqueeze(1)
    # RoIs of no or negative size have no pixels; clamped first, as no map has so many.
    edges = torch.stack([edges[:, :-1].floor(), edges[:, 1:].ceil()]).clamp(0, size).long()
    return edges.where(step > 0, 0)


@plain
def roi_pool_forward(
    maps: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Write the bins of RoIs of maps (N, C, H, W) into ``output`` (R, C, bins, bins).

    A bin without pixels is zero, and its place in ``argmax`` is -1.

    Args:
        rois (Tensor): (R, 5) as image, x1, y1, x2, y2; the last pixels belong to the RoI.
        argmax (Tensor): Of the output's shape; written with the pixels' places in their map.
    """
    height, width = maps.shape[2:]
    rois, rows = in_float(rois), to_rows(maps)
    y = _edges(rois, pooled_height, height, spatial_scale, 0)
    x = _edges(rois, pooled_width, width, spatial_scale, 1)
    empty = (y[1] <= y[0]).all(1) | (x[1] <= x[0]).all(1)
    output.zero_()
    argmax.fill_(-1)
    # RoIs whose largest bins are equal go together.
    sides = [(one[1] - one[0]).amax(1) for one in (y, x)]
    keys, inverse, counts = (
        (sides[0] * (width + 1) + sides[1])
        .where(~empty, -1)
        .unique(return_inverse=True, return_counts=True)
    )
    for key, members in zip(keys.tolist(), inverse.argsort().split(counts.tolist()), strict=True):
        if key < 0:
            continue
        sides = divmod(key, width + 1)
        one = pooled_height * pooled_width * sides[0] * sides[1] * rows.shape[1]
        for chosen in members.split(max(1, limit(ENTRIES, rows) // one)):
            # (r, bins, bins, pixels down, pixels right) from here on.
            down, right = (torch.arange(side, device=rois.device) for side in sides)
            down = y[0, chosen][:, :, None, None, None] + down.view(-1, 1)
            right = x[0, chosen][:, None, :, None, None] + right
            inside = (
                (
                    (down < y[1, chosen][:, :, None, None, None])
                    & (right < x[1, chosen][:, None, :, None, None])
                )
                .flatten(3)
                .unsqueeze(4)
            )
            place = (down * width + right).flatten(3).unsqueeze(4).where(inside, 0)
            image = (rois[chosen, 0].long() * (height * width)).view(-1, 1, 1, 1, 1)
            values = rows[(place + image).squeeze(4)].where(inside, -torch.inf)
            largest, which = values.max(3)
            place = place.expand_as(values).gather(3, which.unsqueeze(3)).squeeze(3)
            some = inside.any(3)
            output[chosen] = largest.where(some, 0).permute(0, 3, 1, 2)
            argmax[chosen] = place.where(some, -1).permute(0, 3, 1, 2).to(argmax.dtype)


@plain
def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add the gradient by the maps to ``grad_input`` (N, C, H, W)."""
    channels, height, width = grad_input.shape[1:]
    plane = rois[:, :1].long() * channels + torch.arange(channels, device=rois.device)
    index = argmax.flatten(2).long()
    grads = grad_output.flatten(2).where(index >= 0, 0)
    index = index.clamp(min=0) + (plane * (height * width)).unsqueeze(2)
    grad_input.view(-1).scatter_add_(0, index.flatten(), grads.flatten())


OPERATORS = dict(roi_pool_forward=roi_pool_forward, roi_pool_backward=roi_pool_backward)
