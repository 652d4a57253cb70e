"""FPDLoss: released numbers, a value by hand, and zero for equal features."""

import math

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.hkd_schedule import HKDSchedule
from mmkd_sod.models.losses import FPDLoss
from tests.conftest import golden_files
from tests.parity.hkd import WEIGHTS, close, levels, read


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('hkd_*.json'))
def test_golden_by_epoch(path):
    arrays, by_epoch, _ = read(path)
    student, teacher = levels(arrays, 'fuse_s'), levels(arrays, 'fuse_t')
    loss = FPDLoss(level_weights=WEIGHTS)
    for epoch, terms in by_epoch.items():
        close(loss(student, teacher, HKDSchedule()(epoch).tau_feat), terms['loss_fpd'])


def test_hand_worked():
    # One position, two channels: means 1 and 3, distributions (1/2, 1/2) and (1/4, 3/4).
    s = torch.tensor([1.0, 1.0]).view(1, 2, 1, 1)
    t = torch.tensor([3 - math.log(3) / 2, 3 + math.log(3) / 2]).view(1, 2, 1, 1)
    kl = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    close(FPDLoss()(s, t), 4 + kl)
    close(FPDLoss(tau=2.0, loss_weight=0.5)(2 * s, 2 * t), 0.5 * (4 + kl))


@pytest.mark.parametrize('shape', [(1, 1, 1, 1), (2, 8, 5, 7)])
def test_zero_when_equal_and_no_gradient_to_the_teacher(shape):
    s, t = (torch.randn(shape, requires_grad=True) for _ in range(2))
    assert FPDLoss()(s, s.detach().clone()).abs() < 1e-6
    FPDLoss()(s, t).backward()
    assert s.grad.abs().sum() > 0 and t.grad is None


def test_layout_and_precision():
    s, t = torch.randn(2, 8, 6, 4), torch.randn(2, 8, 6, 4)
    expected = FPDLoss()(s, t)
    layout = dict(memory_format=torch.channels_last)
    torch.testing.assert_close(FPDLoss()(s.to(**layout), t.to(**layout)), expected)
    for dtype in (torch.bfloat16, torch.float16):
        torch.testing.assert_close(
            FPDLoss()(s.to(dtype), t.to(dtype)), FPDLoss()(s.to(dtype).float(), t.to(dtype).float())
        )
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(FPDLoss()(s, t), expected)


def test_refusals():
    with pytest.raises(ConfigError, match='tau=0 must be above 0'):
        FPDLoss(tau=0)
    with pytest.raises(ConfigError, match='project the channels'):
        FPDLoss()(torch.randn(1, 4, 2, 2), torch.randn(1, 8, 2, 2))
