"""RoI align with an offset for each bin: ``deform_roi_pool_*`` of ``mmcv._ext``.

Dai et al., Deformable Convolutional Networks, ICCV 2017, section 2.2, with bilinear samples.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ._sampling import crossed, edge_padded, plain, to_rows, weighted_rows
from .roi_align import Regions, add_means


def _straight(index: Tensor, position: Tensor, size: int) -> Tensor:
    """Weights (..., 2) of two pixels on the line through both, also before and behind them."""
    weight = torch.stack([index[..., 1] - position, position - index[..., 0]], -1)
    return weight.where(((position >= -1) & (position <= size)).unsqueeze(-1), 0)


def _means(
    rois: Tensor,
    offset: Tensor,
    size: tuple[int, int],
    *,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """RoIs, and rows and weights (r * bins, n) whose sums are their bins.

    Args:
        rois (Tensor): (R, 5) as image, x1, y1, x2, y2.
        offset (Tensor): (R, 2, bins, bins), x before y, in sizes of the RoI; empty for none. The
            weights are differentiable by it, as the compiled operator's are: up to a pixel beyond
            the border, their slope is that of the line through the two nearest pixels.
    """
    regions = Regions.upright(
        rois, (pooled_height, pooled_width), spatial_scale, sampling_ratio, aligned=True
    )
    shift = (
        offset.to(regions.sizes.dtype).flip(1).unsqueeze(4).unsqueeze(5) if offset.numel() else None
    )
    for chosen, grid in regions.by_grid(entries=4):
        places = [regions.positions(chosen, axis, grid[axis]) for axis in (0, 1)]
        # (r, bins, bins, samples, samples) from here on.
        places = [places[0][:, :, None, :, None], places[1][:, None, :, None, :]]
        if shift is not None:
            places = [
                place + gamma * length[chosen].view(-1, 1, 1, 1, 1) * shift[chosen, axis]
                for axis, (place, length) in enumerate(zip(places, regions.sizes, strict=True))
            ]
        places = torch.broadcast_tensors(*places)
        axes = [edge_padded(*one) for one in zip((p.detach() for p in places), size, strict=True)]
        index, weight = crossed(*axes, size[1])
        if shift is not None and shift.requires_grad:
            _, slope = crossed(
                *(
                    (pixels, _straight(pixels, place, length))
                    for (pixels, _), place, length in zip(axes, places, size, strict=True)
                ),
                size[1],
            )
            weight = weight + slope - slope.detach()
        index = index + (regions.image[chosen] * (size[0] * size[1])).view(-1, 1, 1, 1, 1, 1)
        weight = weight / (grid[0] * grid[1])
        yield chosen, index.flatten(3).flatten(0, 2), weight.flatten(3).flatten(0, 2)


@plain
def deform_roi_pool_forward(
    maps: Tensor, rois: Tensor, offset: Tensor, output: Tensor, **arguments
) -> None:
    """Write the bins of RoIs (R, 5) of maps (N, C, H, W) into ``output`` (R, C, bins, bins)."""
    rows = to_rows(maps)
    found = rows.new_zeros(len(rois), output.shape[2] * output.shape[3], rows.shape[1])
    for chosen, index, weight in _means(rois, offset, maps.shape[2:], **arguments):
        found[chosen] = weighted_rows(rows, index, weight).view(-1, *found.shape[1:])
    output.copy_(found.mT.view_as(output))


@plain
def deform_roi_pool_backward(
    grad_output: Tensor,
    maps: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    **arguments,
) -> None:
    """Add the gradients by the maps and by the offsets to ``grad_input`` and ``grad_offset``."""
    rows, grads = to_rows(maps), grad_output.flatten(2).mT

    def means():
        with torch.set_grad_enabled(offset.numel() > 0):
            leaf = offset.detach().requires_grad_(offset.numel() > 0)
            for chosen, index, weight in _means(rois, leaf, maps.shape[2:], **arguments):
                if leaf.requires_grad:
                    found = weighted_rows(rows, index, weight)
                    grad_offset.add_(
                        torch.autograd.grad(found, leaf, grads[chosen].flatten(0, 1))[0]
                    )
                yield chosen, index, weight.detach()

    add_means(grad_output, means(), grad_input)


OPERATORS = dict(
    deform_roi_pool_forward=deform_roi_pool_forward,
    deform_roi_pool_backward=deform_roi_pool_backward,
)
