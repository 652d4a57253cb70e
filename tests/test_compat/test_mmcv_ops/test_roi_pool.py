"""RoI pooling; mmcv has no compiled operator of it on a CPU."""

import math

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import roi_pool as ours

from .parity import Operators
from .test_roi_align import made


@pytest.fixture
def operators(monkeypatch):
    return Operators('roi_pool', ours, monkeypatch)


def by_hand(maps, rois, bins, scale):
    """One bin at a time: its largest value, and the gradient of their sum."""
    result = torch.zeros(len(rois), maps.shape[1], *bins, dtype=maps.dtype)
    grads = torch.zeros_like(maps)
    height, width = maps.shape[2:]
    for number, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top = x1 * scale, y1 * scale
        steps = ((y2 + 1) * scale - top) / bins[0], ((x2 + 1) * scale - left) / bins[1]
        if min(steps) <= 0:
            continue
        for row in range(bins[0]):
            for column in range(bins[1]):
                y, x = (
                    [
                        min(max(one, 0), size)
                        for one in (
                            math.floor(place * step + start),
                            math.ceil((place + 1) * step + start),
                        )
                    ]
                    for place, step, start, size in (
                        (row, steps[0], top, height),
                        (column, steps[1], left, width),
                    )
                )
                for channel in range(maps.shape[1]):
                    part = maps[int(image), channel, y[0] : y[1], x[0] : x[1]]
                    if part.numel():
                        result[number, channel, row, column] = part.max()
                        down, right = divmod(int(part.flatten().argmax()), part.shape[1])
                        grads[int(image), channel, y[0] + down, x[0] + right] += 1
    return result, grads


@pytest.mark.parametrize('bins', [(1, 1), (2, 3), (7, 7)])
def test_each_bin_is_its_largest_pixel(operators, monkeypatch, bins):
    maps, rois = made(torch.float64)
    # Equal values: the first counts.
    for values in (maps, maps.round()):
        expected = by_hand(values, rois, bins, 0.25)
        for limit in (ours.ENTRIES['cpu'], 100):
            monkeypatch.setitem(ours.ENTRIES, 'cpu', limit)
            leaf = values.clone().requires_grad_()
            result = operators.roi_pool(leaf, rois, bins, 0.25)
            torch.testing.assert_close(result, expected[0])
            torch.testing.assert_close(torch.autograd.grad(result.sum(), leaf)[0], expected[1])


def test_no_rois_and_malformed_ones(operators):
    maps = torch.randn(2, 3, 5, 5).requires_grad_()
    for rois in (torch.zeros(0, 5), torch.tensor([[1.0, 4, 4, 1, 1], [0, 90, 90, 95, 95]])):
        result = operators.roi_pool(maps, rois, 2)
        assert result.shape == (len(rois), 3, 2, 2) and not result.any()
        assert not torch.autograd.grad(result.sum(), maps)[0].any()


def test_half_precision_and_the_module(operators):
    maps, rois = made()
    module = operators.RoIPool((2, 2), 0.25)
    torch.testing.assert_close(
        module(maps.half(), rois).float(), module(maps, rois), rtol=1e-3, atol=1e-3
    )
