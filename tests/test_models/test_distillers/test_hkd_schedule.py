"""HKDSchedule: stages and temperatures, and the released total of all terms."""

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import HKDSchedule
from mmkd_sod.models.losses import PNLADLoss
from tests.conftest import golden_files
from tests.parity.hkd import WEIGHTS, gradients, read


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('hkd_*.json'))
def test_golden_total_and_gradient(path):
    _, by_epoch, numbers = read(path)
    schedule = HKDSchedule()
    for epoch, tau in enumerate(numbers.get('temperature_by_epoch_first16', [])):
        assert schedule.temperature(epoch) == tau
    assert all(
        schedule.temperature(epoch) == terms['temperature'] for epoch, terms in by_epoch.items()
    )
    for pair in gradients(path):
        assert pair.difference <= (1e-5 if pair.quantity == 'terms' else 1e-4), pair


def test_stages():
    schedule = HKDSchedule()
    first, second, third = schedule(5), schedule(31), schedule(61)
    assert (first.index, first.tau_pos, first.tau_neg, first.tau_feat) == (0, 4, 19, 19)
    assert (second.index, second.tau_pos, second.tau_neg, second.tau_feat) == (1, 1, 4, 1)
    assert (third.index, third.tau_pos, third.tau_neg, third.tau_feat) == (2, 1, None, 1)
    assert [schedule(e).index for e in (0, 30, 31, 60, 61, 1000)] == [0, 0, 1, 1, 2, 2]
    assert [schedule(e).gt_weights for e in (30, 31)] == [(4, 1, 1, 1), (4, 1, 0, 0)]
    assert [schedule(e).decoder_similarity for e in (30, 31)] == [True, False]


def test_a_short_run_scales_it():
    schedule = HKDSchedule(stage_ends=(1, 3), tau_start=9, tau_step=4)
    assert [schedule.temperature(e) for e in range(4)] == [9, 5, 1, 1]
    assert [schedule(e).index for e in range(5)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    'kwargs, words',
    [
        (dict(stage_ends=(60, 30)), 'in that order'),
        (dict(stage_ends=(60,)), 'in that order'),
        (dict(tau_start=0.5), 'temperatures must be at least 1'),
        (dict(gt_weights=((1, 1),)), 'give two, the weights'),
    ],
)
def test_refusals(kwargs, words):
    with pytest.raises(ConfigError, match=words):
        HKDSchedule(**kwargs)


def test_the_total_of_equal_networks_is_the_ground_truth_alone():
    maps = [torch.randn(2, 1, 8, 8) for _ in range(4)]
    loss = PNLADLoss(level_weights=WEIGHTS)
    for epoch in (0, 31, 61):
        stage = HKDSchedule()(epoch)
        assert loss.positive(maps, maps, stage.tau_pos).abs() < 1e-6
