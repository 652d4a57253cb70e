"""Overlaps of rotated boxes and quadrilaterals, and greedy suppression by them.

``box_iou_rotated``, ``box_iou_quadri``, ``nms_rotated`` and ``nms_quadri`` of ``mmcv._ext``. The
area in which two convex polygons overlap is an integral over its border, which consists of the
parts of each polygon's edges that lie in the other.
"""

import torch
from torch import Tensor

from ._sampling import plain
from .nms import greedy

# Share of both perimeters within which edges count as lying on each other.
ON_BORDER = 1e-10
# Pairs compared at once.
PAIRS = 2**16
# Boxes of less area overlap with nothing.
SMALLEST = 1e-14


def _ring(points: Tensor) -> Tensor:
    """Vertices and centre of polygons (n, 4, 2) as (n, 10), counted against the clock."""
    points = points.double()
    centre = points.mean(1, keepdim=True)
    points = points - centre
    clockwise = _cross(points, points.roll(-1, 1)).sum(1) < 0
    points = torch.where(clockwise[:, None, None], points.flip(1), points)
    return torch.cat([points.flatten(1), centre.flatten(1)], 1)


def rotated(boxes: Tensor) -> Tensor:
    """Rotated boxes (n, 5), as centre, width, height and angle, as rings (n, 10)."""
    x, y, width, height, angle = boxes[:, :5].double().unbind(1)
    along = torch.stack([angle.cos(), angle.sin()], 1) * (width / 2)[:, None]
    across = torch.stack([-angle.sin(), angle.cos()], 1) * (height / 2)[:, None]
    points = torch.stack([-along - across, along - across, along + across, across - along], 1)
    # A box with one negative side has no area, which its ring has to show.
    points = points.where(((width > 0) & (height > 0))[:, None, None], 0)
    return torch.cat([points.flatten(1), torch.stack([x, y], 1)], 1)


def quadrilaterals(boxes: Tensor) -> Tensor:
    """Convex quadrilaterals (n, 8), vertex after vertex, as rings (n, 10)."""
    return _ring(boxes[:, :8].unflatten(1, (4, 2)))


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _border(points: Tensor, edges: Tensor, others: Tensor, other_edges: Tensor) -> Tensor:
    """Twice the integral over the parts of edges (..., 4, 2) that lie in another polygon.

    Args:
        points, edges (Tensor): Where each edge begins, and the vector along it.
        others, other_edges (Tensor): Those of the other polygon.
    """
    # Edge by half-plane (..., 4, 4): inside where distance + t * slope >= 0.
    distance = _cross(other_edges.unsqueeze(-3), points.unsqueeze(-2) - others.unsqueeze(-3))
    slope = _cross(other_edges.unsqueeze(-3), edges.unsqueeze(-2))
    crossing = -distance / slope
    first = crossing.where(slope > 0, 0).amax(-1).clamp(min=0)
    last = crossing.where(slope < 0, 1).amin(-1).clamp(max=1)
    outside = ((slope == 0) & (distance < 0)).any(-1)
    share = (last - first).clamp(min=0).where(~outside, 0)
    return (share * _cross(points, edges)).sum(-1)


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Overlapping areas, and areas of both, of rings (..., 10) that broadcast; double precision."""
    first, second = (one[..., :8].unflatten(-1, (4, 2)) for one in (a, b))
    first_edges, second_edges = (one.roll(-1, -2) - one for one in (first, second))
    areas = [_cross(one, one.roll(-1, -2)).sum(-1) / 2 for one in (first, second)]
    lengths = [one.norm(dim=-1, keepdim=True) for one in (first_edges, second_edges)]
    # Edges that lie on each other would count twice or, outside each other, once: the second
    # polygon's are moved outwards so little that the area does not change by it.
    margin = ON_BORDER * (lengths[0].sum(-2, keepdim=True) + lengths[1].sum(-2, keepdim=True))
    outwards = torch.stack([second_edges[..., 1], -second_edges[..., 0]], -1) / lengths[1]
    second = second + (b[..., 8:] - a[..., 8:]).unsqueeze(-2) + margin * outwards
    border = _border(first, first_edges, second, second_edges) + _border(
        second, second_edges, first, first_edges
    )
    some = (areas[0] >= SMALLEST) & (areas[1] >= SMALLEST)
    return (border / 2).clamp(min=0).where(some, 0), *areas


def _write_ious(first: Tensor, second: Tensor, ious: Tensor, mode_flag: int, aligned: bool) -> None:
    """Write intersections over unions (mode 0) or over first areas (1) of rings into ``ious``."""
    if not ious.numel():
        return
    step = len(first) if aligned else max(1, PAIRS // len(second))
    for rows, target in zip(first.split(step), ious.view(len(first), -1).split(step), strict=True):
        overlap, area, other = overlaps(rows if aligned else rows.unsqueeze(1), second)
        base = area + other - overlap if mode_flag == 0 else area.expand_as(overlap)
        target.copy_((overlap / base).where(overlap > 0, 0).view_as(target))


@plain
def box_iou_rotated(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, *, mode_flag: int, aligned: bool
) -> None:
    """Write overlaps of boxes (m, 5) and (n, 5) into ``ious`` (m * n), or (m,) if aligned.

    Args:
        mode_flag (int): 0: intersection over union; 1: over the first box.
        aligned (bool): Compare boxes of the same place only.
    """
    _write_ious(rotated(bboxes1), rotated(bboxes2), ious, mode_flag, aligned)


@plain
def box_iou_quadri(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, *, mode_flag: int, aligned: bool
) -> None:
    """Write overlaps of convex quadrilaterals (m, 8) and (n, 8); see ``box_iou_rotated``."""
    _write_ious(quadrilaterals(bboxes1), quadrilaterals(bboxes2), ious, mode_flag, aligned)


def _suppress(rings: Tensor, order: Tensor, iou_threshold: float, labels: Tensor | None) -> Tensor:
    """Indices of the boxes that greedy suppression keeps, by falling score."""
    labels = rings.new_zeros(len(rings)) if labels is None else labels.to(rings.dtype)
    fields = torch.cat([rings, labels.unsqueeze(1)], 1)[order].T

    def removes(rows: Tensor, columns: Tensor) -> Tensor:
        rows, columns = rows.T.unsqueeze(1), columns.T.unsqueeze(0)
        overlap, area, other = overlaps(rows[..., :10], columns[..., :10])
        iou = overlap / (area + other - overlap)
        return (iou >= iou_threshold) & (rows[..., 10] == columns[..., 10])

    return order[greedy(fields, removes, cost=16)]


@plain
def nms_rotated(
    dets: Tensor,
    scores: Tensor,
    order: Tensor,
    dets_sorted: Tensor,
    labels: Tensor,
    iou_threshold: float,
    multi_label: int,
) -> Tensor:
    """Return the indices of the rotated boxes that stay, by falling score.

    A box goes if its IoU with a kept box of its label and higher score is at least the threshold.

    Args:
        dets (Tensor): (n, 5), or (n, 6) with labels if ``multi_label``.
        order (Tensor): Indices by falling score.
    """
    labels = dets[:, 5] if multi_label else None
    return _suppress(rotated(dets), order, iou_threshold, labels)


@plain
def nms_quadri(
    dets: Tensor,
    scores: Tensor,
    order: Tensor,
    dets_sorted: Tensor,
    iou_threshold: float,
    multi_label: int,
) -> Tensor:
    """Return the indices of the quadrilaterals (n, 8) or (n, 9) that stay; see above."""
    labels = dets[:, 8] if multi_label else None
    return _suppress(quadrilaterals(dets), order, iou_threshold, labels)


OPERATORS = dict(
    box_iou_rotated=box_iou_rotated,
    box_iou_quadri=box_iou_quadri,
    nms_rotated=nms_rotated,
    nms_quadri=nms_quadri,
)
