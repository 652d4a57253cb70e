"""Which positions of a feature map belong to the images of a batch, and not to its padding.

Images lie in the upper left corner of the padded batch.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import MethodRecorder

# Height and width of each image as parts of the padded batch, in (0, 1].
Fractions = list[tuple[float, float]]


def valid_fractions(size: Sequence[int], data_samples: Sequence[Any] | None) -> Fractions:
    """Return which part of the batch's height and width each image fills.

    Args:
        size (Sequence[int]): Height and width of the padded batch.
        data_samples (Sequence, optional): Samples with ``img_shape``, as mmdet's and mmseg's
            pipelines pack them.

    Raises:
        ConfigError: A sample has no ``img_shape``.
    """
    shapes = [sample.metainfo.get('img_shape') for sample in data_samples or [None] if sample]
    if not shapes or None in shapes:
        raise ConfigError(
            "padding can be masked only where samples have 'img_shape', and these have not; add it "
            'to meta_keys of the packing transform, or set mask_padding=False'
        )
    return [(shape[0] / size[0], shape[1] / size[1]) for shape in shapes]


def record_fractions(student: BaseModel) -> MethodRecorder:
    """Return a recorder of the student's forward that keeps ``valid_fractions`` of the batch."""
    return MethodRecorder(
        student, 'forward', lambda args, _: valid_fractions(args[0].shape[2:], args[1])
    )


def valid_sizes(fractions: Fractions, size: Sequence[int]) -> list[tuple[int, int]]:
    """Return the height and width of each image on a map of this height and width.

    A position that an image covers partly counts as part of it.
    """
    return [(_cover(height, size[0]), _cover(width, size[1])) for height, width in fractions]


def _cover(fraction: float, length: int) -> int:
    # Rounding of the quotient must not add a position.
    return max(1, math.ceil(fraction * length - 1e-6))


def valid_mask(fractions: Fractions, maps: Tensor) -> Tensor:
    """Return the positions of maps (N, C, H, W) inside of images as (N, H, W) bool."""
    mask = torch.zeros((len(maps), *maps.shape[2:]), dtype=torch.bool, device=maps.device)
    for image, (height, width) in zip(mask, valid_sizes(fractions, maps.shape[2:]), strict=True):
        image[:height, :width] = True
    return mask


def gather_valid(maps: Tensor, mask: Tensor) -> Tensor:
    """Return the positions of maps (N, C, H, W) in a mask (N, H, W) as one map (1, C, 1, P)."""
    return maps.permute(0, 2, 3, 1)[mask].t().contiguous()[None, :, None]


def scatter_valid(row: Tensor, mask: Tensor) -> Tensor:
    """Invert ``gather_valid``; other positions are 0."""
    maps = row.new_zeros((*mask.shape, row.shape[1]))
    maps[mask] = row[0, :, 0].t()
    return maps.permute(0, 3, 1, 2)


def cut_padding(fractions: Fractions, maps: Tensor) -> Tensor:
    """Cut off what is padding of all images, and set other padding to 0."""
    sizes = valid_sizes(fractions, maps.shape[2:])
    height, width = (max(sides) for sides in zip(*sizes, strict=True))
    mask = valid_mask(fractions, maps)
    return (maps * mask[:, None])[:, :, :height, :width]


def valid_rows(fractions: Fractions, levels: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """Return which predictions of all levels lie inside of images, (P, ) bool.

    Args:
        fractions (Fractions): Of the batch.
        levels (Sequence): Height and width of each level.
        like (Tensor): (P, ...) predictions, ordered by level, image, row, column, anchor.
    """
    masks = [
        valid_mask(fractions, like.new_empty(len(fractions), 0, *size)).flatten() for size in levels
    ]
    inside = torch.cat(masks)
    return inside.repeat_interleave(len(like) // len(inside))
