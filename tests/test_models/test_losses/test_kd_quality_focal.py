"""KDQualityFocalLoss."""

import math

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import KDQualityFocalLoss


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize('beta', [0.5, 1, 2])
def test_by_hand(beta):
    student, teacher = torch.tensor([[0.5, -1.0]]), torch.tensor([[2.0, 0.0]])
    wanted = 0
    for s, t in zip(student[0].tolist(), teacher[0].tolist(), strict=True):
        p, q = sigmoid(s), sigmoid(t)
        wanted += -(q * math.log(p) + (1 - q) * math.log(1 - p)) * abs(p - q) ** beta
    loss = KDQualityFocalLoss(beta=beta, loss_weight=3.0)
    found = loss(student, teacher, weight=torch.tensor([0.5]), avg_factor=4.0)
    assert found.item() == pytest.approx(3 * 0.5 * wanted / 4, rel=1e-5)


@pytest.mark.parametrize('beta', [0.5, 1, 2])
def test_zero_with_zero_gradient_at_the_teacher(beta):
    logits = torch.randn(5, 3, requires_grad=True)
    loss = KDQualityFocalLoss(beta=beta)(logits, logits.detach().clone(), avg_factor=1)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-4)
    assert torch.isfinite(logits.grad).all()


def test_no_gradient_to_the_teacher_and_default_normaliser():
    student, teacher = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    loss = KDQualityFocalLoss()(student, teacher)
    loss.backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0
    explicit = KDQualityFocalLoss()(student, teacher, avg_factor=4)
    assert torch.equal(loss, explicit)


def test_half_precision_is_computed_in_float32():
    student, teacher = torch.randn(6, 3).half(), torch.randn(6, 3).half()
    found = KDQualityFocalLoss()(student, teacher)
    assert found.dtype == torch.float32
    assert torch.equal(found, KDQualityFocalLoss()(student.float(), teacher.float()))


def test_gradient():
    teacher = torch.randn(3, 2).double()
    student = torch.randn(3, 2).double().requires_grad_()
    loss = KDQualityFocalLoss()
    # The loss computes in float32, so the step must be large.
    assert torch.autograd.gradcheck(
        lambda s: loss(s, teacher), student, eps=1e-2, atol=1e-2, rtol=1e-2
    )


def test_shapes_must_agree():
    with pytest.raises(ConfigError, match=r'\(2, 3\).*\(2, 4\)'):
        KDQualityFocalLoss()(torch.rand(2, 3), torch.rand(2, 4))
