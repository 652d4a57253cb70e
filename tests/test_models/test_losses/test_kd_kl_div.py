"""KDKLDivLoss."""

import math

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import KDKLDivLoss


def softmax(row, tau):
    powers = [math.exp(x / tau) for x in row]
    return [p / sum(powers) for p in powers]


@pytest.mark.parametrize('tau', [1.0, 2.0])
def test_by_hand(tau):
    student, teacher = (
        torch.tensor([[0.5, -1.0], [0.0, 1.0]]),
        torch.tensor([[2.0, 0.0], [1.0, 1.0]]),
    )
    wanted = 0
    for s, t, w in zip(student.tolist(), teacher.tolist(), [0.5, 2.0], strict=True):
        p, q = softmax(s, tau), softmax(t, tau)
        wanted += w * sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    found = KDKLDivLoss(tau=tau, loss_weight=4.0)(
        student, teacher, weight=torch.tensor([0.5, 2.0]), avg_factor=8.0
    )
    assert found.item() == pytest.approx(4 * tau**2 * wanted / 8, rel=1e-5)


def test_zero_at_the_teacher_and_invariant_to_shifts():
    logits = torch.randn(5, 7)
    assert KDKLDivLoss()(logits, logits).item() == pytest.approx(0, abs=1e-6)
    shifted = logits + torch.randn(5, 1)
    assert KDKLDivLoss()(logits, shifted).item() == pytest.approx(0, abs=1e-5)


def test_no_gradient_to_the_teacher():
    student, teacher = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    KDKLDivLoss()(student, teacher).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_half_precision_is_computed_in_float32():
    student, teacher = torch.randn(6, 3).half(), torch.randn(6, 3).half()
    assert torch.equal(
        KDKLDivLoss()(student, teacher), KDKLDivLoss()(student.float(), teacher.float())
    )


def test_refusals():
    with pytest.raises(ConfigError, match='tau=0'):
        KDKLDivLoss(tau=0)
    with pytest.raises(ConfigError, match='one shape'):
        KDKLDivLoss()(torch.rand(2, 3), torch.rand(3, 3))
