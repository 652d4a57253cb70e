"""Greedy, matched and soft suppression."""

import numpy as np
import pytest
import torch

from mmkd_sod.compat.mmcv_ops import nms as ours

from .parity import FORWARD, Operators, difference, needs_compiled

# Largest widths, above 1.
SIZES = (0.01, 20, 400)


@pytest.fixture
def operators(monkeypatch):
    return Operators('nms', ours, monkeypatch)


def made(count, size=60.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 300
    extent = torch.rand(count, 2, generator=generator) * size + 1
    return torch.cat([corner, corner + extent], 1), torch.rand(count, generator=generator)


def by_hand(boxes, scores, threshold, offset=0):
    """Kept indices, one pair at a time, in double precision."""
    boxes, kept = boxes.double().tolist(), []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        for other in kept:
            (a, b, c, d), (e, f, g, h) = boxes[index], boxes[other]
            overlap = max(0, min(c, g) - max(a, e) + offset) * max(
                0, min(d, h) - max(b, f) + offset
            )
            union = (
                (c - a + offset) * (d - b + offset) + (g - e + offset) * (h - f + offset) - overlap
            )
            if overlap > threshold * union:
                break
        else:
            kept.append(index)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('size', SIZES)
def test_nms_is_the_greedy_loop(operators, size, offset):
    boxes, scores = made(400, size)
    dets, kept = operators.nms(boxes, scores, 0.4, offset)
    assert kept.tolist() == by_hand(boxes, scores.tolist(), 0.4, offset)
    assert torch.equal(dets, torch.cat([boxes[kept], scores[kept, None]], 1))


def test_a_chain_of_boxes_each_removing_the_next(operators):
    """The worst case of the fixed point: every round settles one box."""
    start = torch.arange(600.0)
    boxes = torch.stack([start, start * 0, start + 3, start * 0 + 2], 1)
    kept = operators.nms(boxes, -start, 0.45)[1]
    assert kept.tolist() == list(range(0, 600, 2))


def test_blocks_and_tiles_change_nothing(operators, monkeypatch):
    boxes, scores = made(300)
    whole = operators.nms(boxes, scores, 0.3)[1]
    monkeypatch.setitem(ours.BLOCK, 'cpu', 7)
    monkeypatch.setitem(ours.PAIRS, 'cpu', 10)
    assert torch.equal(operators.nms(boxes, scores, 0.3)[1], whole)


@pytest.mark.parametrize('dtype', [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(operators, dtype):
    boxes, scores = made(200)
    # Half precision tells whole numbers to 256 apart; equal scores come in any order.
    boxes, scores = boxes.round().to(dtype), scores.argsort().to(dtype)
    kept = operators.nms(boxes, scores, 0.3)[1]
    assert kept.tolist() == by_hand(boxes, scores.tolist(), 0.3)


def test_no_boxes(operators):
    dets, kept = operators.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5) and kept.shape == (0,) and kept.dtype == torch.long
    dets, kept = operators.soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5) and kept.shape == (0,)
    assert operators.nms_match(torch.zeros(0, 5), 0.5) == []


def test_identical_boxes_and_boxes_without_area(operators):
    same = torch.tensor([[3.0, 3, 9, 9]]).repeat(5, 1)
    assert operators.nms(same, torch.ones(5), 0.99)[1].tolist() == [0]
    # 0 / 0 is not above any threshold.
    flat = torch.tensor([[3.0, 3, 3, 9]]).repeat(5, 1)
    assert operators.nms(flat, torch.ones(5), 0.0)[1].tolist() == [0, 1, 2, 3, 4]


def test_score_threshold_and_number(operators):
    boxes, scores = made(100)
    kept = by_hand(boxes, scores.tolist(), 0.3)
    expected = [index for index in kept if scores[index] > 0.5][:7]
    assert operators.nms(boxes, scores, 0.3, 0, 0.5, 7)[1].tolist() == expected


def test_nms_match_groups(operators):
    boxes = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [0, 0, 10, 8], [50, 50, 60, 59]]
    )
    scores = torch.tensor([0.5, 0.9, 0.3, 0.8, 0.7])
    groups = operators.nms_match(torch.cat([boxes, scores[:, None]], 1), 0.7)
    assert [group.tolist() for group in groups] == [[1, 3, 0], [4, 2]]


def test_soft_nms_by_hand(operators):
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    dets, kept = operators.soft_nms(boxes, scores, 0.3, method='linear')
    assert kept.tolist() == [0, 2, 1]
    torch.testing.assert_close(dets[:, 4], torch.tensor([0.9, 0.7, 0.4]))
    dets, kept = operators.soft_nms(boxes, scores, 0.3, method='naive')
    assert kept.tolist() == [0, 2]
    dets, kept = operators.soft_nms(boxes, scores, sigma=0.5, method='gaussian')
    torch.testing.assert_close(dets[:, 4], torch.tensor([0.9, 0.7, 0.8 * np.exp(-0.5).item()]))


@needs_compiled
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('count', [1, 2, 255, 1500])
@pytest.mark.parametrize('size', SIZES)
def test_nms_keeps_what_the_compiled_one_keeps(operators, size, count, offset):
    for seed, threshold in enumerate((0.0, 0.1, 0.5, 0.95)):
        boxes, scores = made(count, size, seed)
        # Equal scores, whole coordinates with equal boxes among them, and boxes without area.
        for case in (
            (boxes, scores),
            (boxes, (scores * 8).round() / 8),
            ((boxes / 16).round(), (scores * 8).round()),
        ):
            mine, other = operators.both(
                lambda case=case, threshold=threshold: operators.nms(*case, threshold, offset)
            )
            assert torch.equal(mine[1], other[1]) and torch.equal(mine[0], other[0])


@needs_compiled
def test_strided_boxes(operators):
    wide = made(200)[0].repeat(1, 2)[:, 4:]
    scores = torch.rand(400)[::2]
    mine, other = operators.both(lambda: operators.nms(wide, scores, 0.3))
    assert torch.equal(mine[1], other[1])


@needs_compiled
@pytest.mark.parametrize('size', SIZES)
def test_nms_match_is_the_compiled_one(operators, size):
    for seed, count in enumerate((1, 3, 300, 700)):
        boxes, scores = made(count, size, seed)
        for dets in (
            torch.cat([boxes, scores[:, None]], 1),
            torch.cat([(boxes / 16).round(), (scores[:, None] * 8).round()], 1),
        ):
            mine, other = operators.both(lambda dets=dets: operators.nms_match(dets, 0.4))
            assert [one.tolist() for one in mine] == [one.tolist() for one in other]


@needs_compiled
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms_is_the_compiled_one(operators, method, offset):
    for seed, (count, size, least) in enumerate(
        [(1, 60, 1e-3), (40, 400, 0.3), (600, 60, 1e-3), (600, 60, 0.2), (500, 0.01, 0.05)]
    ):
        boxes, scores = made(count, size, seed)
        for case in ((boxes, scores), (boxes, (scores * 8).round() / 8)):
            mine, other = operators.both(
                lambda case=case, least=least: operators.soft_nms(
                    *case, 0.3, 0.5, least, method, offset
                )
            )
            assert torch.equal(mine[1], other[1])
            assert difference(mine[0], other[0]) <= FORWARD


@needs_compiled
def test_batched_nms_runs_on_ours(operators):
    boxes, scores = made(500)
    classes = torch.arange(500) % 3
    for config in (
        dict(type='nms', iou_threshold=0.5),
        dict(type='soft_nms', iou_threshold=0.5),
        dict(type='nms', iou_threshold=0.5, split_thr=100, max_num=50),
    ):
        mine, other = operators.both(
            lambda config=config: operators.batched_nms(boxes, scores, classes, config)
        )
        assert torch.equal(mine[1], other[1])
        assert difference(mine[0], other[0]) <= FORWARD
