"""PNLADLoss: released numbers, values by hand, the modes, and zero for equal maps."""

import math

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.hkd_schedule import HKDSchedule
from mmkd_sod.models.losses import PNLADLoss
from mmkd_sod.registry import MODELS
from tests.conftest import golden_files
from tests.parity.hkd import WEIGHTS, close, levels, read

MODES = ('row', 'position', 'pixel')


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('hkd_*.json'))
def test_golden_by_epoch(path):
    arrays, by_epoch, _ = read(path)
    student, teacher = levels(arrays, 'logit_s'), levels(arrays, 'logit_t')
    loss = PNLADLoss(level_weights=WEIGHTS)
    for epoch, terms in by_epoch.items():
        stage = HKDSchedule()(epoch)
        close(loss.positive(student, teacher, stage.tau_pos), terms['loss_positive'])
        loss.tau_neg = None
        close(loss.negative(student, teacher, stage.tau_neg), terms['loss_negative'])


def kl(teacher, student):
    return sum(t * math.log(t / s) for t, s in zip(teacher, student, strict=True))


def softmax(*scores):
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_hand_worked_two_by_two():
    s = torch.tensor([[[[1.0, 3.0], [0.0, 2.0]]]])
    t = torch.tensor([[[[2.0, 0.0], [4.0, 4.0]]]])
    tau = 2.0
    rows = [kl(softmax(1.0, 0.0), softmax(0.5, 1.5)), kl(softmax(2.0, 2.0), softmax(0.0, 1.0))]
    close(PNLADLoss(tau, None, 'row')(s, t), sum(rows) / 2)
    close(
        PNLADLoss(tau, None, 'position')(s, t),
        kl(softmax(1.0, 0.0, 2.0, 2.0), softmax(0.5, 1.5, 0.0, 1.0)),
    )
    pixels = [
        kl((sigmoid(b / tau), sigmoid(-b / tau)), (sigmoid(a / tau), sigmoid(-a / tau)))
        for a, b in zip((1.0, 3.0, 0.0, 2.0), (2.0, 0.0, 4.0, 4.0), strict=True)
    ]
    close(PNLADLoss(tau, None, 'pixel')(s, t), sum(pixels) / 4)
    negative_row = kl(
        softmax(sigmoid(-2.0) / tau, sigmoid(0.0) / tau),
        softmax(sigmoid(-1.0) / tau, sigmoid(-3.0) / tau),
    )
    close(PNLADLoss(1.0, tau, 'row', pos_weight=0)(s[:, :, :1], t[:, :, :1]), negative_row)


def test_pixel_counts_a_saliency_map_as_two_classes():
    s, t = torch.randn(2, 1, 5, 7), torch.randn(2, 1, 5, 7)
    two = [torch.cat([x, torch.zeros_like(x)], 1) for x in (s, t)]
    loss = PNLADLoss(mode='pixel')
    torch.testing.assert_close(loss(s, t), loss(*two))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('shape', [(2, 1, 6, 9), (1, 11, 5, 4), (3, 2, 1, 1)])
def test_zero_when_equal_and_positive_otherwise(mode, shape):
    s, t = torch.randn(shape) * 5, torch.randn(shape) * 5
    loss = PNLADLoss(mode=mode)
    assert loss(s, s.clone()).abs() < 1e-6
    if shape != (3, 2, 1, 1) or mode == 'pixel':
        assert loss(s, t) > 1e-4


def test_row_and_position_ignore_a_shift_of_the_logits():
    s, t = torch.randn(2, 1, 6, 9), torch.randn(2, 1, 6, 9)
    for mode in ('row', 'position'):
        loss = PNLADLoss(tau_neg=None, mode=mode)
        torch.testing.assert_close(loss(s + 3, t), loss(s, t))


@pytest.mark.parametrize('mode', MODES)
def test_gradient_reaches_the_student_only(mode):
    s, t = (torch.randn(1, 3, 4, 5, requires_grad=True) for _ in range(2))
    PNLADLoss(mode=mode)(s, t).backward()
    assert s.grad.abs().sum() > 0 and t.grad is None


@pytest.mark.parametrize('mode', MODES)
def test_layout_and_precision(mode):
    s, t = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    loss = PNLADLoss(mode=mode)
    expected = loss(s, t)
    torch.testing.assert_close(
        loss(s.to(memory_format=torch.channels_last), t.to(memory_format=torch.channels_last)),
        expected,
    )
    for dtype in (torch.bfloat16, torch.float16):
        half = loss(s.to(dtype), t.to(dtype))
        assert half.dtype == torch.float32
        torch.testing.assert_close(half, loss(s.to(dtype).float(), t.to(dtype).float()))
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(loss(s, t), expected)


def test_levels_are_weighted_and_summed():
    s, t = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    one = PNLADLoss()(s, t)
    torch.testing.assert_close(PNLADLoss(level_weights=(4, 1))([s, s], [t, t]), 5 * one)
    torch.testing.assert_close(PNLADLoss()([s, s], [t, t]), 2 * one)
    torch.testing.assert_close(PNLADLoss(level_weights=(1, 0))([s, s], [t, t]), one)


def test_terms_can_be_left_out():
    s, t = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    loss = PNLADLoss(tau_neg=None)
    assert loss.negative(s, t) == 0 and loss(s, t) == loss.positive(s, t)
    assert PNLADLoss(tau_neg=None, pos_weight=0)(s, t) == 0


def test_refusals():
    s = torch.randn(2, 1, 4, 4)
    with pytest.raises(ConfigError, match="mode='rows' is unknown"):
        PNLADLoss(mode='rows')
    with pytest.raises(ConfigError, match='tau_pos=0 must be above 0'):
        PNLADLoss(tau_pos=0)
    with pytest.raises(ConfigError, match='tau_pos=None'):
        PNLADLoss(tau_pos=None)
    with pytest.raises(ConfigError, match='level 0 .* one shape'):
        PNLADLoss()(s, s[..., :2])
    with pytest.raises(ConfigError, match='got 1 student and 2 teacher levels'):
        PNLADLoss()(s, [s, s])
    with pytest.raises(ConfigError, match='has 4 entries for 1 levels'):
        PNLADLoss(level_weights=WEIGHTS)(s, s)


def test_built_from_a_config():
    loss = MODELS.build(dict(type='mmkd_sod.PNLADLoss', mode='pixel', tau_pos=2.0))
    assert 'mode=pixel, tau_pos=2.0' in repr(loss)
