"""BoundaryDiceLoss: schedule, boundaries by hand, and the released numbers."""

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import BoundaryDiceLoss, boundary_map, boundary_window
from tests.conftest import golden_files
from tests.parity import scfnet as parity
from tests.test_models.test_losses.released_dice import check_against_release


def test_window_schedule():
    assert [boundary_window(e) for e in range(9)] == [13] * 9
    assert [boundary_window(e) for e in (9, 19, 29, 39, 49, 59, 69, 500)] == [
        11,
        9,
        7,
        5,
        3,
        1,
        1,
        1,
    ]
    assert [boundary_window(e, start=5, drop=4, every=2) for e in range(4)] == [5, 1, 1, 1]


def test_boundary_of_a_square():
    square = torch.zeros(1, 1, 9, 9)
    square[..., 2:7, 2:7] = 1
    ring = square.clone()
    ring[..., 3:6, 3:6] = 0
    assert torch.equal(boundary_map(square, 1), ring)
    wide = torch.zeros_like(square)
    wide[..., 1:8, 1:8] = 1
    wide[..., 4, 4] = 0
    assert torch.equal(boundary_map(square, 3), wide)


def test_no_boundary_at_the_image_border():
    assert boundary_map(torch.ones(1, 1, 5, 5), 13).abs().sum() == 0
    assert boundary_map(torch.zeros(1, 1, 5, 5), 13).abs().sum() == 0


def test_epoch_sets_the_window():
    loss = BoundaryDiceLoss()
    assert loss.window == 13
    loss.set_epoch(59)
    assert loss.window == 1 and 'epoch=59' in repr(loss)


def test_a_shifted_boundary_costs_less_under_a_wide_window():
    target = torch.zeros(1, 1, 32, 32)
    target[..., 8:24, 8:24] = 1
    logits = (torch.roll(target, 3, -1) - 0.5) * 40
    loss = BoundaryDiceLoss()
    wide = loss(logits, target)
    loss.set_epoch(59)
    narrow = loss(logits, target)
    assert wide < 0.5 * narrow
    assert loss((target - 0.5) * 200, target) < 1e-6


def test_ignored_positions():
    logits, label = torch.randn(1, 1, 12, 12), torch.zeros(1, 12, 12, dtype=torch.long)
    label[:, 3:8, 3:8] = 1
    label[:, :, 10:] = 255
    loss = BoundaryDiceLoss(start=1)
    other = logits.clone()
    other[..., 10:] = 30.0
    torch.testing.assert_close(loss(logits, label), loss(other, label))


def test_gradient_and_half_precision():
    logits = torch.randn(2, 1, 16, 16, requires_grad=True)
    target = (torch.rand(2, 1, 16, 16) > 0.5).float()
    loss = BoundaryDiceLoss()(logits, target)
    loss.backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0
    half = BoundaryDiceLoss()(logits.detach().bfloat16(), target)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, loss.detach(), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize('cfg', [dict(start=4), dict(start=-1), dict(drop=1), dict(every=0)])
def test_refuses_a_window_without_centre(cfg):
    with pytest.raises(ConfigError, match='needs an odd start'):
        BoundaryDiceLoss(**cfg)


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('scfnet_*.json'))
def test_golden(path):
    values = list(parity.boundary_dice(path))
    assert values
    for value in values:
        check_against_release(value)
