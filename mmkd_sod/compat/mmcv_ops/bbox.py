"""Overlaps of boxes: ``bbox_overlaps`` of ``mmcv._ext``."""

import torch
from torch import Tensor


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, *, mode: int, aligned: bool, offset: int
) -> None:
    """Write overlaps of boxes given as x1, y1, x2, y2 into ``ious``.

    Args:
        bboxes1, bboxes2 (Tensor): (m, 4) and (n, 4); of as many boxes if ``aligned``.
        ious (Tensor): (m, n), or (m,) if ``aligned``.
        mode (int): 0: intersection over union; 1: over the first box.
        aligned (bool): Compare boxes of the same place only.
        offset (int): Added to widths and heights, 0 or 1.
    """
    first = bboxes1 if aligned else bboxes1.unsqueeze(1)
    sizes = (
        torch.minimum(first[..., 2:], bboxes2[..., 2:])
        - torch.maximum(first[..., :2], bboxes2[..., :2])
        + offset
    ).clamp(min=0)
    overlap = sizes.prod(-1)
    area = (first[..., 2:] - first[..., :2] + offset).prod(-1)
    if mode == 0:
        area = area + (bboxes2[..., 2:] - bboxes2[..., :2] + offset).prod(-1) - overlap
    ious.copy_(overlap / area)


OPERATORS = dict(bbox_overlaps=bbox_overlaps)
