"""RoI align of rotated boxes: ``roi_align_rotated_*`` of ``mmcv._ext``."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ._sampling import crossed, edge_padded, plain, to_rows, weighted_rows
from .roi_align import Regions, add_means, in_float


def _means(
    rois: Tensor,
    bins: tuple[int, int],
    size: tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """RoIs, and rows and weights (r * bins, n) whose sums are their bins; see ``Regions``."""
    image, *centre, width, height, angle = in_float(rois).unbind(1)
    x, y = (one * spatial_scale - (0.5 if aligned else 0) for one in centre)
    sizes = torch.stack([height, width]) * spatial_scale
    if not aligned:
        sizes = sizes.clamp(min=1)
    sine, cosine = (-angle if clockwise else angle).sin(), angle.cos()
    # The samples' places before the rotation, from the centre.
    regions = Regions(image, -sizes / 2, sizes, bins, sampling_ratio)
    for chosen, grid in regions.by_grid(entries=4):
        down, right = (regions.positions(chosen, axis, grid[axis]) for axis in (0, 1))
        # (r, bins, bins, samples, samples) from here on.
        down, right = down[:, :, None, :, None], right[:, None, :, None, :]
        x_0, y_0, sin, cos = (one[chosen].view(-1, 1, 1, 1, 1) for one in (x, y, sine, cosine))
        index, weight = crossed(
            edge_padded(down * cos - right * sin + y_0, size[0]),
            edge_padded(down * sin + right * cos + x_0, size[1]),
            size[1],
        )
        index += (regions.image[chosen] * (size[0] * size[1])).view(-1, 1, 1, 1, 1, 1)
        weight /= grid[0] * grid[1]
        yield chosen, index.flatten(3).flatten(0, 2), weight.flatten(3).flatten(0, 2)


@plain
def roi_align_rotated_forward(
    maps: Tensor,
    rois: Tensor,
    output: Tensor,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
) -> None:
    """Write the bins of RoIs of maps (N, C, H, W) into ``output`` (R, C, bins, bins).

    Args:
        rois (Tensor): (R, 6) as image, centre x and y, width, height, angle in radians.
        others: As in mmcv's ``RoIAlignRotated``.
    """
    rows = to_rows(maps)
    found = rows.new_zeros(len(rois), pooled_height * pooled_width, rows.shape[1])
    for chosen, index, weight in _means(
        rois,
        (pooled_height, pooled_width),
        maps.shape[2:],
        spatial_scale,
        sampling_ratio,
        aligned,
        clockwise,
    ):
        found[chosen] = weighted_rows(rows, index, weight).view(-1, *found.shape[1:])
    output.copy_(found.mT.view_as(output))


@plain
def roi_align_rotated_backward(
    grad_output: Tensor,
    rois: Tensor,
    grad_input: Tensor,
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
    clockwise: bool,
) -> None:
    """Add the gradient by the maps to ``grad_input`` (N, C, H, W)."""
    add_means(
        grad_output,
        _means(
            rois,
            (pooled_height, pooled_width),
            grad_input.shape[2:],
            spatial_scale,
            sampling_ratio,
            aligned,
            clockwise,
        ),
        grad_input,
    )


OPERATORS = dict(
    roi_align_rotated_forward=roi_align_rotated_forward,
    roi_align_rotated_backward=roi_align_rotated_backward,
)
