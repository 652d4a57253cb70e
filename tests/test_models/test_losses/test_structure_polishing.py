"""StructurePolishingLoss: the sum of its two terms."""

import pytest
import torch

from mmkd_sod.models.losses import BoundaryDiceLoss, DiceLoss, StructurePolishingLoss
from mmkd_sod.registry import MODELS


@pytest.mark.parametrize('epoch', [0, 30, 59])
def test_sum_of_dice_and_boundary_dice(epoch):
    logits, target = torch.randn(2, 1, 20, 24), (torch.rand(2, 20, 24) > 0.5).long()
    loss = StructurePolishingLoss(boundary_weight=0.5, loss_weight=3.0)
    loss.boundary.set_epoch(epoch)
    boundary = BoundaryDiceLoss()
    boundary.set_epoch(epoch)
    expected = 3 * (DiceLoss()(logits, target) + 0.5 * boundary(logits, target))
    torch.testing.assert_close(loss(logits, target), expected)


def test_zero_for_a_perfect_map():
    target = torch.zeros(1, 1, 32, 32)
    target[..., 8:20, 8:20] = 1
    assert StructurePolishingLoss()((target - 0.5) * 200, target) < 1e-6


def test_as_the_loss_of_any_head():
    loss = MODELS.build(dict(type='mmkd_sod.StructurePolishingLoss', every=2))
    label = torch.randint(0, 2, (2, 8, 8))
    label[0, 0] = 255
    value = loss(torch.randn(2, 1, 8, 8), label, weight=None, ignore_index=255)
    assert loss.loss_name == 'loss_sp' and 0 < value < 2
