"""SaliencyBCELoss: released numbers, a value by hand, and ignored positions."""

import math

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.hkd_schedule import HKDSchedule
from mmkd_sod.models.losses import SaliencyBCELoss
from tests.conftest import golden_files
from tests.parity.hkd import close, levels, read


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('hkd_*.json'))
def test_golden_by_epoch(path):
    arrays, by_epoch, _ = read(path)
    logits = levels(arrays, 'logit_s')
    for epoch, terms in by_epoch.items():
        weights = HKDSchedule()(epoch).gt_weights
        close(SaliencyBCELoss()(logits, arrays['gt'], level_weights=weights), terms['loss_gt'])


def test_hand_worked_and_ignored_positions():
    logits = torch.tensor([[[[0.0, 2.0], [-1.0, 5.0]]]])
    target = torch.tensor([[[1, 0], [0, 255]]])
    terms = [math.log(2), math.log(1 + math.exp(2)), math.log(1 + math.exp(-1))]
    close(SaliencyBCELoss()(logits, target), sum(terms) / 3)
    close(
        SaliencyBCELoss(level_weights=(2, 0), loss_weight=0.5)([logits, logits], target),
        sum(terms) / 3,
    )
    assert SaliencyBCELoss()(logits, torch.full_like(target, 255)) == 0


def test_precision_and_layout():
    logits, target = torch.randn(2, 1, 6, 4), torch.rand(2, 1, 6, 4)
    expected = SaliencyBCELoss()(logits, target)
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(SaliencyBCELoss()(logits, target), expected)
    assert SaliencyBCELoss()(logits.half(), target).dtype == torch.float32
    torch.testing.assert_close(
        SaliencyBCELoss()(logits.to(memory_format=torch.channels_last), target), expected
    )


def test_refusals():
    logits = torch.randn(1, 1, 4, 4)
    with pytest.raises(ConfigError, match='resize the logits'):
        SaliencyBCELoss()(logits, torch.zeros(1, 1, 8, 8))
    with pytest.raises(ConfigError, match='give one weight per level'):
        SaliencyBCELoss(level_weights=(1, 1))(logits, torch.zeros(1, 1, 4, 4))
