"""RoI align of rotated boxes."""

import math

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import roi_align, roi_align_rotated

from .parity import Operators, assert_alike, needs_compiled


@pytest.fixture
def operators(monkeypatch):
    return Operators('roi_align_rotated', roi_align_rotated, monkeypatch)


def made(dtype=torch.float32, number=2, rois=24, size=(9, 13), scale=0.25):
    maps = torch.randn(number, 3, *size, dtype=dtype)
    extent = torch.tensor([size[1], size[0]], dtype=dtype) / scale
    centre = (torch.rand(rois, 2, dtype=dtype) * 1.4 - 0.2) * extent
    lengths = torch.rand(rois, 2, dtype=dtype) ** 3 * 2 * extent
    image = torch.randint(0, number, (rois, 1)).to(dtype)
    return maps, torch.cat([image, centre, lengths, torch.rand(rois, 1, dtype=dtype) * 7 - 3], 1)


@pytest.mark.parametrize('ratio', [0, 2])
def test_without_an_angle_it_is_roi_align(operators, monkeypatch, ratio):
    maps, rois = made()
    rois[:, 5] = 0
    upright = Operators('roi_align', roi_align, monkeypatch)
    half = rois[:, 3:5] / 2
    boxes = torch.cat([rois[:, :1], rois[:, 1:3] - half, rois[:, 1:3] + half], 1)
    for aligned in (True, False):
        result = operators.roi_align_rotated(maps, rois, 3, 0.25, ratio, aligned)
        if aligned:
            expected = upright.roi_align(maps, boxes, 3, 0.25, ratio, 'avg', aligned)
            torch.testing.assert_close(result, expected)


def test_a_quarter_turn_turns_the_bins(operators):
    maps = torch.randn(1, 2, 8, 8)
    rois = torch.tensor([[0.0, 4, 4, 4, 4, 0], [0, 4, 4, 4, 4, math.pi / 2]])
    plain, turned = operators.roi_align_rotated(maps, rois, 4, 1.0, 1, True, False)
    torch.testing.assert_close(turned, plain.rot90(-1, (1, 2)))
    turned = operators.roi_align_rotated(maps, rois[1:], 4, 1.0, 1, True, True)[0]
    torch.testing.assert_close(turned, plain.rot90(1, (1, 2)))


def test_no_rois(operators):
    maps = torch.randn(2, 3, 5, 5).requires_grad_()
    for ratio in (0, 2):
        result = operators.roi_align_rotated(maps, torch.zeros(0, 6), 3, 1.0, ratio)
        assert result.shape == (0, 3, 3, 3)
        assert not torch.autograd.grad(result.sum(), maps)[0].any()


@pytest.mark.parametrize('ratio', [0, 2])
def test_gradients_are_those_of_the_output(operators, ratio):
    maps, rois = made(torch.float64, size=(5, 6))
    assert torch.autograd.gradcheck(
        lambda maps: operators.roi_align_rotated(maps, rois, (2, 3), 0.25, ratio),
        maps.requires_grad_(),
        fast_mode=True,
    )


@needs_compiled
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('clockwise', [True, False])
@pytest.mark.parametrize('ratio', [0, 1, 3])
def test_agrees_with_the_compiled_one(operators, ratio, clockwise, aligned):
    for bins in (1, (3, 5), 7):
        for dtype in (torch.float32, torch.float64):
            maps, rois = made(dtype)
            assert_alike(
                operators,
                lambda maps, rois=rois, bins=bins: operators.roi_align_rotated(
                    maps, rois, bins, 0.25, ratio, aligned, clockwise
                ),
                maps,
            )
