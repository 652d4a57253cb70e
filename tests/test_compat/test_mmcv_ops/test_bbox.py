"""Overlaps of boxes."""

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import bbox as ours

from .parity import FORWARD, Operators, difference, needs_compiled
from .test_nms import made


@pytest.fixture
def operators(monkeypatch):
    return Operators('bbox', ours, monkeypatch)


def test_by_hand(operators):
    one = torch.tensor([[0.0, 0, 10, 10], [10, 10, 20, 20], [32, 32, 38, 42]])
    other = torch.tensor([[0.0, 0, 10, 20], [0, 10, 10, 19], [10, 10, 20, 20]])
    ious = operators.bbox_overlaps(one, other)
    torch.testing.assert_close(ious, torch.tensor([[0.5, 0, 0], [0, 0, 1], [0, 0, 0]]))
    aligned = operators.bbox_overlaps(one, other, 'iof', True)
    torch.testing.assert_close(aligned, torch.tensor([1.0, 0, 0]))
    shifted = operators.bbox_overlaps(one[:1], other[1:2], offset=1)
    torch.testing.assert_close(shifted, torch.tensor([[11 / (121 + 110 - 11)]]))


def test_no_boxes(operators):
    assert operators.bbox_overlaps(torch.zeros(0, 4), torch.zeros(3, 4)).shape == (0, 3)
    assert operators.bbox_overlaps(torch.zeros(0, 4), torch.zeros(0, 4), aligned=True).shape == (0,)


@needs_compiled
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('mode', ['iou', 'iof'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_agrees_with_the_compiled_one(operators, mode, offset, dtype):
    one, other = (made(40, seed=seed)[0].to(dtype) for seed in (0, 1))
    for aligned in (False, True):
        for boxes in (one, one.flip(0)[::1], one.mT.contiguous().mT, one.round()):
            mine, theirs = operators.both(
                lambda boxes=boxes, aligned=aligned: operators.bbox_overlaps(
                    boxes, other, mode, aligned, offset
                )
            )
            assert difference(mine, theirs) <= FORWARD
