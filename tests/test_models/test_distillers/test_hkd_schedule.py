"""HKDSchedule: stages and temperatures, and the released total of all terms."""
import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import HKDSchedule
from mmkd_sod.models.losses import DSSDLoss, FPDLoss, PNLADLoss, SaliencyBCELoss
from tests.conftest import golden_files
from tests.hkd_golden import WEIGHTS, close, levels, read


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('hkd_*.json'))
def test_golden_total_and_gradient(path):
    arrays, by_epoch, numbers = read(path)
    schedule = HKDSchedule()
    for epoch, tau in enumerate(numbers.get('temperature_by_epoch_first16', [])):
        assert schedule.temperature(epoch) == tau
    pnlad = PNLADLoss(tau_neg=None, level_weights=WEIGHTS)
    for epoch, terms in by_epoch.items():
        stage = schedule(epoch)
        assert schedule.temperature(epoch) == terms['temperature']
        student = {key: value.clone().requires_grad_() for key, value in arrays.items()
                   if key.startswith(('logit_s', 'fuse_s', 'enc_S'))}
        logits, teacher = levels(student, 'logit_s'), levels(arrays, 'logit_t')
        gt = SaliencyBCELoss()(logits, arrays['gt'], level_weights=stage.gt_weights)
        mixed = .9375 * pnlad.positive(logits, teacher, stage.tau_pos) + .0625 * gt
        close(mixed, terms['loss_positive_mixed'])
        dssd = DSSDLoss(loss_weight=4.)(*(
            [source[f'enc_{net}_{mode}4'] for mode in 'RD']
            for net, source in (('S', student), ('T', arrays))))
        if stage.decoder_similarity:
            dssd = dssd + DSSDLoss()(*(
                levels(source, f'enc_{net}_r') + levels(source, f'enc_{net}_d')
                for net, source in (('S', student), ('T', arrays))))
        total = (mixed + gt + pnlad.negative(logits, teacher, stage.tau_neg) + dssd
                 + FPDLoss(level_weights=WEIGHTS)(
                     levels(student, 'fuse_s'), levels(arrays, 'fuse_t'), stage.tau_feat))
        close(total, terms['total'])
        total.backward()
        norms = {key: value for key, value in terms.items() if key.startswith('grad_norm_')}
        assert norms
        for key, value in norms.items():
            close(student[key.removeprefix('grad_norm_')].grad.norm(), value, rtol=1e-4)


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


@pytest.mark.parametrize('kwargs, words', [
    (dict(stage_ends=(60, 30)), 'in that order'),
    (dict(stage_ends=(60,)), 'in that order'),
    (dict(tau_start=.5), 'temperatures must be at least 1'),
    (dict(gt_weights=((1, 1),)), 'give two, the weights'),
])
def test_refusals(kwargs, words):
    with pytest.raises(ConfigError, match=words):
        HKDSchedule(**kwargs)


def test_the_total_of_equal_networks_is_the_ground_truth_alone():
    maps = [torch.randn(2, 1, 8, 8) for _ in range(4)]
    loss = PNLADLoss(level_weights=WEIGHTS)
    for epoch in (0, 31, 61):
        stage = HKDSchedule()(epoch)
        assert loss.positive(maps, maps, stage.tau_pos).abs() < 1e-6
