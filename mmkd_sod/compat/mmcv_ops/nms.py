"""Greedy and soft non-maximum suppression: ``nms``, ``softnms``, ``nms_match`` of ``mmcv._ext``.

Greedy suppression goes through the boxes in blocks of falling score. In a block, which boxes stay
is the fixed point of ``keep = not suppressed by any kept box before it``; starting from all boxes,
each round settles at least one more, and in practice a few rounds settle a block. What a block
keeps then removes boxes from all that follow. Memory is bounded by ``PAIRS``.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ._sampling import limit, plain

# Boxes of one block, and pairs of boxes compared at once: on a CPU, what its caches hold.
BLOCK = dict(cpu=256, gpu=2048)
PAIRS = dict(cpu=2**16, gpu=2**24)


def _settle(suppressed_by: Tensor) -> Tensor:
    """Return which boxes of a block stay.

    Args:
        suppressed_by (Tensor): Boolean (n, n); row i, column j: box i would remove box j.
    """
    # Counts of booleans are a matrix product, and only whether they are zero matters.
    before = suppressed_by.float().triu_(1)
    keep = before.new_ones(len(before))
    # Each look at the result is a host synchronisation on a GPU.
    rounds = 1 if keep.device.type == 'cpu' else 4
    while True:
        for _ in range(rounds):
            previous, keep = keep, (keep @ before == 0).float()
        if torch.equal(previous, keep):
            return keep.bool()


def greedy(boxes: Tensor, overlaps: Callable[[Tensor, Tensor], Tensor], cost: int = 1) -> Tensor:
    """Return the positions of the boxes that greedy suppression keeps, in order.

    Args:
        boxes (Tensor): (fields, n), by falling score.
        overlaps (Callable): Gives a boolean (k, c) for (fields, k) and (fields, c): which of the
            first would remove which of the second.
        cost (int): Memory that ``overlaps`` takes, in that of an IoU of upright boxes.
    """
    size, pairs = int(limit(BLOCK, boxes) / cost**0.5), limit(PAIRS, boxes) // cost
    left = torch.arange(boxes.shape[1], device=boxes.device)
    kept = [left[:0]]
    while len(left):
        block, boxes = boxes[:, :size], boxes[:, size:]
        stays = _settle(overlaps(block, block)).nonzero().squeeze(1)
        kept.append(left[:size][stays])
        left, block = left[size:], block[:, stays]
        if len(left):
            step = max(1, pairs // len(stays))
            # The maximum of bytes is several times faster than `any` of booleans.
            hit = torch.cat(
                [
                    overlaps(block, columns).view(torch.uint8).amax(0)
                    for columns in boxes.split(step, dim=1)
                ]
            )
            free = (hit == 0).nonzero().squeeze(1)
            left, boxes = left[free], boxes.index_select(1, free)
    return torch.cat(kept)


def _fields(boxes: Tensor, offset: int) -> Tensor:
    """Corners and areas of boxes (n, 4) as (5, n), in float32 at least."""
    x1, y1, x2, y2 = boxes.to(torch.promote_types(boxes.dtype, torch.float32)).unbind(1)
    return torch.stack([x1, y1, x2, y2, (x2 - x1 + offset) * (y2 - y1 + offset)])


def _ious(rows: Tensor, columns: Tensor, offset: int) -> Tensor:
    """IoU (k, c) of boxes given by ``_fields``; NaN where both areas are zero."""
    x1, y1, x2, y2, area = rows.unsqueeze(2)
    width = torch.minimum(x2, columns[2]).sub_(torch.maximum(x1, columns[0]))
    height = torch.minimum(y2, columns[3]).sub_(torch.maximum(y1, columns[1]))
    if offset:
        width.add_(offset)
        height.add_(offset)
    overlap = width.clamp_(min=0).mul_(height.clamp_(min=0))
    return overlap.div_((area + columns[4]).sub_(overlap))


@plain
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of the boxes that stay, by falling score.

    A box goes if its IoU with a kept box of higher score is above ``iou_threshold``.

    Args:
        boxes (Tensor): (n, 4) as x1, y1, x2, y2.
        scores (Tensor): (n,).
        iou_threshold (float): Largest IoU of two kept boxes.
        offset (int): Added to widths and heights, 0 or 1.
    """
    order = scores.sort(0, descending=True)[1]
    fields = _fields(boxes[order], offset)
    return order[greedy(fields, lambda a, b: _ious(a, b, offset) > iou_threshold)]


@plain
def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Return groups of indices: a kept box, then those it removed, by falling score.

    Args:
        dets (Tensor): (n, 5) as x1, y1, x2, y2, score.
        iou_threshold (float): A box goes if its IoU with a kept one is at least this.
    """
    order = dets[:, 4].sort(0, descending=True)[1]
    fields = _fields(dets[order, :4], 0)
    kept = greedy(fields, lambda a, b: _ious(a, b, 0) >= iou_threshold)
    owners = []
    step = max(1, limit(PAIRS, dets) // max(1, len(kept)))
    for start, columns in zip(range(0, len(order), step), fields.split(step, 1), strict=True):
        ranks = torch.arange(start, start + columns.shape[1], device=kept.device)
        removes = _ious(fields[:, kept], columns, 0) >= iou_threshold
        # The first kept box that removes it, or itself.
        removes = removes.logical_and_(kept[:, None] < ranks) | (kept[:, None] == ranks)
        owners.append(removes.to(torch.uint8).argmax(0))
    groups: list[list[int]] = [[] for _ in kept]
    for owner, index in zip(
        torch.cat(owners).tolist() if owners else [], order.tolist(), strict=True
    ):
        groups[owner].append(index)
    return groups


def _decay(iou: np.ndarray, iou_threshold: float, sigma: float, method: int) -> np.ndarray:
    """Factor on the scores of boxes by their IoU with the one that was taken."""
    if method == 2:
        return np.exp(-(iou * iou) / iou.dtype.type(sigma))
    # NaN, of two boxes without area, compares as not above.
    return np.where(iou >= iou.dtype.type(iou_threshold), 0 if method == 0 else 1 - iou, 1)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Take the best box, lower the scores of those it overlaps, drop low ones, and repeat.

    Writes boxes and lowered scores into the first rows of ``dets`` and returns the indices of these
    boxes. Of equal scores, the one that comes first in the compiled operator's array is taken; this
    array swaps the taken box to the front and fills the gaps of dropped ones from the end.

    Args:
        boxes (Tensor): (n, 4) on the CPU.
        scores (Tensor): (n,).
        dets (Tensor): (n, 5), written to.
        iou_threshold (float): IoU from which methods 0 and 1 lower scores.
        sigma (float): Of method 2.
        min_score (float): Boxes whose lowered score is below are dropped.
        method (int): 0: to zero, 1: times 1 - IoU, 2: times exp(-IoU² / sigma).
        offset (int): Added to widths and heights, 0 or 1.
    """
    fields = torch.cat([_fields(boxes, offset), scores[None].to(boxes.device)]).numpy()
    indices, count, done = np.arange(len(boxes)), len(boxes), 0
    while done < count:
        best = done + int(fields[5, done:count].argmax())
        fields[:, [done, best]] = fields[:, [best, done]]
        indices[[done, best]] = indices[[best, done]]
        x1, y1, x2, y2, area, _ = fields[:, done]
        done += 1
        rest = fields[:, done:count]
        width = np.minimum(x2, rest[2]) - np.maximum(x1, rest[0]) + offset
        height = np.minimum(y2, rest[3]) - np.maximum(y1, rest[1]) + offset
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(divide='ignore', invalid='ignore'):
            iou = overlap / (area + rest[4] - overlap)
        rest[5] *= _decay(iou, iou_threshold, sigma, method)
        low = rest[5] < rest.dtype.type(min_score)
        if low.any():
            stays = count - done - int(low.sum())
            gaps = done + low[:stays].nonzero()[0]
            last = done + stays + (~low[stays:]).nonzero()[0][::-1]
            fields[:, gaps], indices[gaps] = fields[:, last], indices[last]
            count = done + stays
    taken = torch.from_numpy(fields[:, :count])
    dets[:count] = torch.cat([taken[:4], taken[5:]]).T.to(dets)
    return torch.from_numpy(indices[:count])


OPERATORS = dict(nms=nms, nms_match=nms_match, softnms=softnms)
