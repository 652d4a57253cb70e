"""RoI align: ``roi_align_*`` of ``mmcv._ext``.

He et al., Mask R-CNN, ICCV 2017: each bin of a region of interest (RoI) is the mean, or the
maximum, of bilinear samples on a regular grid. The weights of a mean are products of weights along
the height and along the width, and samples at most a pixel apart share pixels, so that a bin is a
weighted sum of few pixels.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ._sampling import (
    crossed,
    edge_padded,
    limit,
    plain,
    spread_rows,
    to_maps,
    to_rows,
    weighted_rows,
)

# Weighted pixels at once.
ENTRIES = dict(cpu=2**22, gpu=2**25)
# The compiled operator's maximum of no samples.
LOWEST = -10000


def in_float(rois: Tensor) -> Tensor:
    """RoIs in single precision at least, as sixteen bits do not tell a map's pixels apart."""
    return rois.to(torch.promote_types(rois.dtype, torch.float32)).nan_to_num()


class Regions:
    """Bins of RoIs and the samples in them; pairs are (along the height, along the width).

    Args:
        image (Tensor): Which map each RoI is of (R,).
        start, sizes (Tensor): In pixels of the map (2, R).
        bins (tuple): Of each RoI.
        sampling_ratio (int): Samples along each axis of a bin; 0: one per pixel, rounded up.
    """

    def __init__(
        self,
        image: Tensor,
        start: Tensor,
        sizes: Tensor,
        bins: tuple[int, int],
        sampling_ratio: int,
    ) -> None:
        self.image, self.start, self.bins, self.ratio = image.int(), start, bins, sampling_ratio
        self.sizes = sizes
        self.steps = torch.stack([size / count for size, count in zip(sizes, bins, strict=True)])

    @classmethod
    def upright(
        cls,
        rois: Tensor,
        bins: tuple[int, int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool,
    ) -> 'Regions':
        """Regions of RoIs (R, 5) given as image, x1, y1, x2, y2.

        Args:
            spatial_scale (float): From the RoIs' coordinates to pixels of the map.
            aligned (bool): Whether pixels' centres are at half coordinates; otherwise at whole
                ones, and RoIs are at least a pixel wide and high.
        """
        rois = in_float(rois)
        corners = rois[:, 1:].T * spatial_scale - (0.5 if aligned else 0)
        start, sizes = corners[[1, 0]], corners[[3, 2]] - corners[[1, 0]]
        return cls(
            rois[:, 0], start, sizes if aligned else sizes.clamp(min=1), bins, sampling_ratio
        )

    def by_grid(self, entries: int) -> Iterator[tuple[Tensor, tuple[int, int]]]:
        """Indices of RoIs, and the samples along each axis of their bins, of which all have some.

        Args:
            entries (int): Numbers to be stored per sample, which bound the RoIs at once.
        """
        if self.ratio > 0:
            grids = [(self.ratio, self.ratio)]
            members = [torch.arange(len(self.image), device=self.image.device)]
        else:
            # Whole numbers far above any map's pixels, so that a sum tells both.
            sides = self.steps.ceil().clamp(min=0).long()
            keys, inverse, counts = (sides[0] * 2**32 + sides[1]).unique(
                return_inverse=True, return_counts=True
            )
            members = inverse.argsort().split(counts.tolist())
            grids = [divmod(key, 2**32) for key in keys.tolist()]
        for some, grid in zip(members, grids, strict=True):
            if min(grid) > 0 and len(some):
                one = entries * self.bins[0] * self.bins[1] * grid[0] * grid[1]
                step = max(1, limit(ENTRIES, some) // one)
                yield from ((chosen, grid) for chosen in some.split(step))

    def positions(self, chosen: Tensor, axis: int, samples: int) -> Tensor:
        """Positions of samples (r, bins, samples) along an axis."""
        start, step = self.start[axis][chosen, None, None], self.steps[axis][chosen, None, None]
        numbers = torch.arange(max(self.bins[axis], samples), device=step.device, dtype=step.dtype)
        return (
            start
            + numbers[: self.bins[axis], None] * step
            + (numbers[:samples] + 0.5) * step / samples
        )

    def pixels(self, chosen: Tensor, axis: int, samples: int, size: int) -> tuple[Tensor, Tensor]:
        """Pixels and weights (r, bins, n) of means along an axis of a map."""
        index, weight = edge_padded(self.positions(chosen, axis, samples), size)
        index, weight = index.flatten(2), weight.flatten(2) / samples
        if self.ratio > 0 or samples == 1:
            return index, weight
        # Samples are at most a pixel apart: of 2 per sample, all but one more are the same pixels.
        first = index[..., :1]
        place = (index - first).clamp_(max=samples).long()
        weight = weight.new_zeros(*weight.shape[:2], samples + 1).scatter_add_(2, place, weight)
        more = torch.arange(samples + 1, device=index.device, dtype=index.dtype)
        return (first + more).clamp_(max=size - 1), weight

    def means(self, size: tuple[int, int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """RoIs, and rows and weights (r * bins, n) whose sums are their bins."""
        for chosen, grid in self.by_grid(entries=4):
            y, x = (self.pixels(chosen, axis, grid[axis], size[axis]) for axis in (0, 1))
            index, weight = crossed(
                [one.unsqueeze(2) for one in y], [one.unsqueeze(1) for one in x], size[1]
            )
            index += (self.image[chosen] * (size[0] * size[1])).view(-1, 1, 1, 1)
            yield chosen, index.flatten(0, 2), weight.flatten(0, 2)

    def maxima(
        self, rows: Tensor, size: tuple[int, int]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """RoIs, the largest sample of each bin, and its y and x, each (r, bins, bins, C)."""
        for chosen, grid in self.by_grid(entries=4 * rows.shape[1]):
            y, x = (self.positions(chosen, axis, grid[axis]) for axis in (0, 1))
            # (r, bins, bins, samples, samples) from here on.
            y, x = torch.broadcast_tensors(y[:, :, None, :, None], x[:, None, :, None, :])
            index, weight = crossed(edge_padded(y, size[0]), edge_padded(x, size[1]), size[1])
            index += (self.image[chosen] * (size[0] * size[1])).view(-1, 1, 1, 1, 1, 1)
            samples = weighted_rows(rows, index.flatten(0, -2), weight.flatten(0, -2))
            largest, which = samples.view(*y.shape[:3], -1, rows.shape[1]).max(3)
            yield (chosen, largest, *(one.flatten(3).gather(3, which) for one in (y, x)))


@plain
def roi_align_forward(
    maps: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Write the bins of RoIs (R, 5) of maps (N, C, H, W) into ``output`` (R, C, bins, bins).

    Args:
        pool_mode (int): 0: maximum, and the samples' places are written into ``argmax_y`` and
            ``argmax_x``; 1: mean.
        others: As in mmcv's ``RoIAlign``, and ``Regions``.
    """
    regions = Regions.upright(
        rois, (aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned
    )
    rows, size = to_rows(maps), maps.shape[2:]
    if pool_mode == 1:
        found = rows.new_zeros(len(rois), aligned_height * aligned_width, rows.shape[1])
        for chosen, index, weight in regions.means(size):
            found[chosen] = weighted_rows(rows, index, weight).view(-1, *found.shape[1:])
        output.copy_(found.mT.view_as(output))
        return
    output.fill_(LOWEST)
    argmax_y.fill_(-1)
    argmax_x.fill_(-1)
    for chosen, *found in regions.maxima(rows, size):
        for target, one in zip((output, argmax_y, argmax_x), found, strict=True):
            target[chosen] = one.permute(0, 3, 1, 2).to(target.dtype)


@plain
def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Add the gradient by the maps to ``grad_input`` (N, C, H, W)."""
    size = grad_input.shape[2:]
    if pool_mode == 0:
        spread_maxima(grad_output, rois, argmax_y, argmax_x, grad_input)
        return
    regions = Regions.upright(
        rois, (aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned
    )
    add_means(grad_output, regions.means(size), grad_input)


def add_means(
    grad_output: Tensor, means: Iterator[tuple[Tensor, Tensor, Tensor]], grad_input: Tensor
) -> None:
    """Add gradients of bins (R, C, bins, bins) to those of maps (N, C, H, W).

    Args:
        means (Iterator): RoIs, and rows and weights (r * bins, n) whose sums are their bins.
    """
    rows, bins = to_rows(grad_output), grad_output.shape[2] * grad_output.shape[3]
    pixels = len(grad_input) * grad_input.shape[2] * grad_input.shape[3]
    number = torch.arange(bins, device=rows.device)

    def add():
        spread = spread_rows(rows, *(torch.cat(one) for one in zip(*held, strict=True)), pixels)
        grad_input.add_(to_maps(spread, grad_input.shape))

    held: list[tuple[Tensor, Tensor, Tensor]] = []
    for chosen, index, weight in means:
        if held and sum(len(one[0]) for one in held) + index.numel() > limit(ENTRIES, rows):
            add()
            held.clear()
        source = (chosen[:, None] * bins + number).view(-1, 1).expand_as(index)
        held.append((source.reshape(-1).int(), index.view(-1), weight.view(-1)))
    if held:
        add()


def spread_maxima(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor
) -> None:
    """Add gradients (R, C, bins, bins) to the maps' pixels around the samples they came from."""
    channels, height, width = grad_input.shape[1:]
    y, x = argmax_y.flatten(2), argmax_x.flatten(2)
    index, weight = crossed(edge_padded(y, height), edge_padded(x, width), width)
    weight = weight.where((y != -1).unsqueeze(-1), 0)
    plane = rois[:, :1].long() * channels + torch.arange(channels, device=rois.device)
    index = index + (plane * (height * width)).view(-1, channels, 1, 1)
    grads = weight * grad_output.flatten(2).unsqueeze(-1)
    grad_input.view(-1).scatter_add_(0, index.flatten(), grads.flatten().to(grad_input.dtype))


OPERATORS = dict(roi_align_forward=roi_align_forward, roi_align_backward=roi_align_backward)
