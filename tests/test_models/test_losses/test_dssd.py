"""DSSDLoss: released numbers, a value by hand, one image, and invariances."""

import math

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.hkd_schedule import HKDSchedule
from mmkd_sod.models.losses import DSSDLoss
from mmkd_sod.models.losses.dssd import batch_similarity
from tests.conftest import golden_files
from tests.parity.hkd import close, levels, read


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('hkd_*.json'))
def test_golden_by_epoch(path):
    arrays, by_epoch, _ = read(path)
    encoder = [[arrays[f'enc_{net}_{mode}4'] for mode in 'RD'] for net in 'ST']
    decoder = [levels(arrays, f'enc_{net}_r') + levels(arrays, f'enc_{net}_d') for net in 'ST']
    for epoch, terms in by_epoch.items():
        value = DSSDLoss(loss_weight=4.0)(*encoder)
        if HKDSchedule()(epoch).decoder_similarity:
            value = value + DSSDLoss()(*decoder)
        close(value, terms['loss_dssd'])


def test_hand_worked():
    # Gram matrices ((1, 0), (0, 4)) and ((1, 1), (1, 1)).
    s = torch.tensor([[1.0, 0.0], [0.0, 2.0]]).view(2, 2, 1, 1)
    t = torch.ones(2, 1, 1, 1)
    root = 1 / math.sqrt(2)
    close(DSSDLoss()(s, t), ((1 - root) ** 2 + root**2) / 2)


def test_one_image_gives_zero():
    s, t = (torch.randn(1, 4, 3, 3, requires_grad=True) for _ in range(2))
    assert batch_similarity(s).shape == (1, 1)
    loss = DSSDLoss()(s, t)
    loss.backward()
    assert loss == 0 and t.grad is None and s.grad.abs().max() < 1e-6


def test_zero_features_give_a_finite_loss():
    s = torch.zeros(3, 4, 2, 2, requires_grad=True)
    loss = DSSDLoss()(s, torch.randn(3, 4, 2, 2))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(s.grad).all()


def test_any_factor_cancels():
    s, t = torch.randn(4, 8, 3, 5), torch.randn(4, 2, 6, 6)
    torch.testing.assert_close(DSSDLoss()(s / 34, t / 34), DSSDLoss()(s, t))


def test_zero_when_equal_and_no_gradient_to_the_teacher():
    s, t = (torch.randn(3, 4, 2, 2, requires_grad=True) for _ in range(2))
    assert DSSDLoss()(s, s.detach().clone()) == 0
    DSSDLoss()([s, s], [t, t]).backward()
    assert s.grad.abs().sum() > 0 and t.grad is None


def test_layout_and_precision():
    s, t = torch.randn(4, 8, 6, 4), torch.randn(4, 8, 6, 4)
    expected = DSSDLoss()(s, t)
    layout = dict(memory_format=torch.channels_last)
    torch.testing.assert_close(DSSDLoss()(s.to(**layout), t.to(**layout)), expected)
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(DSSDLoss()(s, t), expected)
    # Products of such features leave the range of float16.
    large = (s * 2000).half()
    torch.testing.assert_close(DSSDLoss()(large, t), DSSDLoss()(large.float(), t))


def test_refusals():
    x = torch.randn(2, 4, 2, 2)
    with pytest.raises(ConfigError, match='got 2 student and 1 teacher images'):
        DSSDLoss()(x, x[:1])
    with pytest.raises(ConfigError, match='got 1 student and 2 teacher levels'):
        DSSDLoss()(x, [x, x])
