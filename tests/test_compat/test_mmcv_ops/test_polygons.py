"""Overlaps of rotated boxes and quadrilaterals."""

import math

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import bbox, polygons

from .parity import FORWARD, Operators, difference, needs_compiled


def made(count, seed=0, size=30.0):
    generator = torch.Generator().manual_seed(seed)

    def random(columns):
        return torch.rand(count, columns, generator=generator)

    # No slivers, on whose areas single precision is off by more than the tolerance.
    sides = (random(2) + 0.1) * size + 1
    return torch.cat([random(2) * 100, sides, random(1) * 7 - 3.5], 1)


def as_quadrilaterals(boxes):
    rings = polygons.rotated(boxes)
    return (rings[:, :8].view(-1, 4, 2) + rings[:, None, 8:]).flatten(1).to(boxes.dtype)


@pytest.fixture
def rotated(monkeypatch):
    return Operators('box_iou_rotated', polygons, monkeypatch)


@pytest.fixture
def quadri(monkeypatch):
    return Operators('box_iou_quadri', polygons, monkeypatch)


@pytest.fixture
def suppression(monkeypatch):
    return Operators('nms', polygons, monkeypatch)


def test_by_hand(rotated):
    square = torch.tensor([[5.0, 5, 2, 2, 0]])
    diamond = torch.tensor([[5.0, 5, 2, 2, math.pi / 4]])
    octagon = 8 * (math.sqrt(2) - 1)
    torch.testing.assert_close(
        rotated.box_iou_rotated(square, diamond), torch.tensor([[octagon / (8 - octagon)]])
    )
    torch.testing.assert_close(
        rotated.box_iou_rotated(square, diamond, 'iof', True), torch.tensor([octagon / 4])
    )
    # From one corner down and right, 30 degrees: the signs of the angle differ.
    bar = torch.tensor([[5.0, 5, 8, 0.1, 0.5]])
    probe = torch.tensor([[5 + 3 * math.cos(0.5), 5 + 3 * math.sin(0.5), 0.2, 0.2, 0]])
    assert rotated.box_iou_rotated(bar, probe) > 0
    assert rotated.box_iou_rotated(bar, probe, clockwise=False) == 0


def test_upright_boxes_overlap_as_boxes_do(rotated):
    """Also where edges and corners lie on each other, which is where the compiled one errs.

    There it is wrong by up to 0.25, as its hull drops points.
    """
    boxes = made(80).round()
    boxes[:, 4] = 0
    corners = torch.cat([boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2], 1)
    expected = torch.zeros(80, 80)
    bbox.bbox_overlaps(corners, corners, expected, mode=0, aligned=False, offset=0)
    torch.testing.assert_close(rotated.box_iou_rotated(boxes, boxes), expected)


def test_a_box_is_itself_however_it_is_turned(rotated):
    """The compiled one gives some of these an IoU of 0.26."""
    boxes = made(300)
    turned = boxes[:, [0, 1, 3, 2, 4]] + torch.tensor([0, 0, 0, 0, math.pi / 2])
    for other in (boxes, turned):
        ious = rotated.box_iou_rotated(boxes, other, aligned=True)
        torch.testing.assert_close(ious, torch.ones(300), rtol=0, atol=1e-5)


def test_boxes_far_from_the_origin_and_without_area(rotated):
    boxes = made(50).double()
    far = boxes + torch.tensor([1e6, -1e6, 0, 0, 0])
    torch.testing.assert_close(
        rotated.box_iou_rotated(far, far), rotated.box_iou_rotated(boxes, boxes)
    )
    flat = boxes * torch.tensor([1.0, 1, 0, 1, 1])
    assert not rotated.box_iou_rotated(flat, flat).any()
    assert rotated.box_iou_rotated(boxes[:0], boxes).shape == (0, 50)
    assert rotated.box_iou_rotated(boxes, boxes[:0]).shape == (50, 0)


def test_quadrilaterals_that_are_no_rectangles(quadri):
    """The compiled one takes them for parallelograms and counts all of the square, 1 / 16."""
    trapezium = torch.tensor([[0.0, 0, 10, 0, 6, 4, 4, 4]])
    square = torch.tensor([[0.5, 1, 2, 1, 2, 2, 0.5, 2]])
    for one in (trapezium, trapezium.view(4, 2).flip(0).view(1, 8)):
        assert quadri.box_iou_quadri(one, square, 'iof').item() == pytest.approx(0.5 / 24)
    union = 24 + 1.5 - 0.5
    assert quadri.box_iou_quadri(square, trapezium).item() == pytest.approx(0.5 / union)


def test_suppression_by_labels(suppression):
    """Boxes of other labels stay; the compiled operator ignores labels on a CPU."""
    boxes = torch.tensor([[5.0, 5, 4, 4, 0], [5, 5, 4, 4, 0.1], [5, 5, 4, 4, 0.2]])
    scores, labels = torch.tensor([0.5, 0.9, 0.7]), torch.tensor([0.0, 0, 1])
    assert suppression.nms_rotated(boxes, scores, 0.5)[1].tolist() == [1]
    assert suppression.nms_rotated(boxes, scores, 0.5, labels)[1].tolist() == [1, 2]
    quads = as_quadrilaterals(boxes)
    assert suppression.nms_quadri(quads, scores, 0.5)[1].tolist() == [1]
    assert suppression.nms_quadri(quads, scores, 0.5, labels)[1].tolist() == [1, 2]


@needs_compiled
@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('size', [0.1, 30, 300])
def test_agrees_with_the_compiled_one(rotated, quadri, mode, size):
    one, other = made(60, 0, size), made(50, 1, size)
    for aligned in (False, True):
        pair = (one[:50], other) if aligned else (one, other)
        mine, theirs = rotated.both(
            lambda pair=pair, aligned=aligned: rotated.box_iou_rotated(*pair, mode, aligned)
        )
        assert difference(mine, theirs) <= FORWARD
        pair = [as_quadrilaterals(boxes) for boxes in pair]
        mine, theirs = quadri.both(
            lambda pair=pair, aligned=aligned: quadri.box_iou_quadri(*pair, mode, aligned)
        )
        assert difference(mine, theirs) <= FORWARD


@needs_compiled
@pytest.mark.parametrize('count', [1, 40, 400])
def test_keeps_what_the_compiled_one_keeps(suppression, count):
    boxes = made(count)
    scores = torch.rand(count)
    for threshold in (0.05, 0.3, 0.7):
        for clockwise in (True, False):
            mine, theirs = suppression.both(
                lambda threshold=threshold, clockwise=clockwise: suppression.nms_rotated(
                    boxes, scores, threshold, clockwise=clockwise
                )
            )
            assert torch.equal(mine[1], theirs[1]) and torch.equal(mine[0], theirs[0])
        quads = as_quadrilaterals(boxes)
        mine, theirs = suppression.both(
            lambda threshold=threshold, quads=quads: suppression.nms_quadri(
                quads, scores, threshold
            )
        )
        assert torch.equal(mine[1], theirs[1])
