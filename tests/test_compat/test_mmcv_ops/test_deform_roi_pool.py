"""RoI align with an offset for each bin; mmcv has no compiled operator of it on a CPU."""

import math

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import deform_roi_pool, roi_align

from .parity import Operators
from .test_roi_align import made


@pytest.fixture
def operators(monkeypatch):
    return Operators('deform_roi_pool', deform_roi_pool, monkeypatch)


@pytest.mark.parametrize('ratio', [0, 2])
def test_without_offsets_it_is_roi_align(operators, monkeypatch, ratio):
    maps, rois = made()
    upright = Operators('roi_align', roi_align, monkeypatch)
    expected = upright.roi_align(maps, rois, 3, 0.25, ratio, 'avg', True)
    for offset in (None, torch.zeros(len(rois), 2, 3, 3)):
        result = operators.deform_roi_pool(maps, rois, offset, 3, 0.25, ratio)
        torch.testing.assert_close(result, expected)


def test_an_offset_moves_a_bin_by_a_share_of_its_roi(operators):
    maps = torch.arange(64.0).view(1, 1, 8, 8)
    rois = torch.tensor([[0.0, 0, 0, 4, 4]])
    offset = torch.zeros(1, 2, 2, 2)
    offset[0, 0, 0, 1], offset[0, 1, 1, 0] = 1, 1
    # By 0.25 * 4 pixels: of the first row the second bin to the right, of the second one down.
    result = operators.deform_roi_pool(maps, rois, offset, 2, 1.0, 0, 0.25)
    torch.testing.assert_close(result[0, 0], torch.tensor([[4.5, 7.5], [28.5, 22.5]]))


@pytest.mark.parametrize('ratio', [0, 2])
def test_gradients_are_those_of_the_output(operators, ratio):
    """Of RoIs whose samples lie between pixels; beyond, the compiled slope is another."""
    maps = torch.randn(2, 3, 8, 9, dtype=torch.float64)
    rois = torch.tensor([[0, 8, 8, 20, 23], [1, 10, 12, 26, 14], [0, 12, 9, 15, 20.0]]).double()
    offset = torch.rand(3, 2, 2, 3, dtype=torch.float64) - 0.5
    assert torch.autograd.gradcheck(
        lambda *args: operators.deform_roi_pool(args[0], rois, args[1], (2, 3), 0.25, ratio, 0.1),
        (maps.requires_grad_(), offset.requires_grad_()),
        fast_mode=True,
    )


def slopes(plane, y, x):
    """Of a sample by y and x: four pixels' values at their distances, wherever the sample lies."""
    (height, width) = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0, 0.0
    top, left = (min(int(max(one, 0)), size - 1) for one, size in ((y, height), (x, width)))
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    a, b, c, d = (
        float(plane[place])
        for place in ((top, left), (top, right), (bottom, left), (bottom, right))
    )
    return (
        (right - x) * (c - a) + (x - left) * (d - b),
        (bottom - y) * (b - a) + (y - top) * (d - c),
    )


def test_gradients_by_offsets_beyond_the_border(operators):
    maps, rois = made(torch.float64, rois=10)
    offset = torch.randn(10, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    result = operators.deform_roi_pool(maps, rois, offset, 2, 0.25, 2, 0.1)
    weighting = torch.randn_like(result)
    grads = torch.autograd.grad((result * weighting).sum(), offset)[0]
    expected = torch.zeros_like(offset)
    for number, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (one * 0.25 - 0.5 for one in box)
        for row, column, channel in torch.cartesian_prod(
            torch.arange(2), torch.arange(2), torch.arange(3)
        ).tolist():
            right, down = offset[number, :, row, column].tolist()
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                y = y1 + (row + (i + 0.5) / 2 + 0.2 * down) * (y2 - y1) / 2
                x = x1 + (column + (j + 0.5) / 2 + 0.2 * right) * (x2 - x1) / 2
                by_y, by_x = slopes(maps[int(image), channel], y, x)
                weight = float(weighting[number, channel, row, column]) / 4 * 0.1
                expected[number, 0, row, column] += weight * (x2 - x1) * by_x
                expected[number, 1, row, column] += weight * (y2 - y1) * by_y
    torch.testing.assert_close(grads, expected.detach())
    assert math.isfinite(grads.abs().sum())


def test_no_rois_and_the_modules(operators):
    maps = torch.randn(2, 3, 9, 9).requires_grad_()
    offset = torch.zeros(0, 2, 3, 3, requires_grad=True)
    result = operators.deform_roi_pool(maps, torch.zeros(0, 5), offset, 3)
    assert result.shape == (0, 3, 3, 3)
    assert not torch.autograd.grad(result.sum(), maps)[0].any()
    rois = torch.tensor([[0.0, 1, 1, 7, 8], [1, 0, 0, 9, 9]])
    for name in ('DeformRoIPoolPack', 'ModulatedDeformRoIPoolPack'):
        module = getattr(operators, name)((3, 3), 3, 8)
        module(maps, rois).sum().backward()
        assert module.offset_fc[-1].weight.grad.isfinite().all()
