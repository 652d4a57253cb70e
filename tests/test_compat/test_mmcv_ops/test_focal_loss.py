"""Focal losses; mmcv has no compiled operators of them on a CPU."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops import focal_loss as ours

from .parity import Operators


@pytest.fixture
def operators(monkeypatch):
    return Operators('focal_loss', ours, monkeypatch)


def made(dtype=torch.float64):
    scores = torch.randn(20, 5, dtype=dtype) * 3
    # The last label is background.
    return scores, torch.arange(20) % 6, torch.rand(5, dtype=dtype)


def sigmoid_reference(scores, target, weight, gamma, alpha):
    positive = F.one_hot(target, 6)[:, :5].bool()
    log_one, log_zero = F.logsigmoid(scores), F.logsigmoid(-scores)
    loss = torch.where(
        positive,
        -alpha * log_zero.exp() ** gamma * log_one,
        -(1 - alpha) * log_one.exp() ** gamma * log_zero,
    )
    return loss if weight is None else loss * F.pad(weight, (0, 1), value=1)[target, None]


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('gamma', [0.0, 1.5, 2.0])
def test_sigmoid_focal_loss_and_its_gradient(operators, gamma, weighted):
    scores, target, weight = made()
    weight = weight if weighted else None
    for reduction in ('none', 'mean', 'sum'):
        one, other = (scores.clone().requires_grad_() for _ in range(2))
        mine = operators.sigmoid_focal_loss(one, target, gamma, 0.3, weight, reduction)
        theirs = sigmoid_reference(other, target, weight, gamma, 0.3)
        # mmcv's mean is over rows.
        theirs = dict(none=theirs, mean=theirs.sum() / 20, sum=theirs.sum())[reduction]
        torch.testing.assert_close(mine, theirs)
        # mmcv takes one gradient for all elements.
        torch.testing.assert_close(
            *(
                torch.autograd.grad(loss.sum(), leaf)[0]
                for loss, leaf in ((mine, one), (theirs, other))
            )
        )


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('gamma', [1.0, 2.5])
def test_softmax_focal_loss_and_its_gradient(operators, gamma, weighted):
    scores, target, weight = made()
    target, weight = target % 5, weight if weighted else None
    one, other = (scores.clone().requires_grad_() for _ in range(2))
    # mmcv's gradient of the single losses has a wrong shape.
    mine = operators.softmax_focal_loss(one, target, gamma, 0.3, weight, 'sum')
    log = other.log_softmax(1).gather(1, target[:, None]).squeeze(1)
    theirs = -0.3 * (1 - log.exp()) ** gamma * log * (1 if weight is None else weight[target])
    torch.testing.assert_close(mine, theirs.sum())
    torch.testing.assert_close(
        *(torch.autograd.grad(loss.sum(), leaf)[0] for loss, leaf in ((mine, one), (theirs, other)))
    )


def test_ignored_rows_of_the_softmax_loss(operators):
    scores, target, _ = made()
    scores.requires_grad_()
    loss = operators.softmax_focal_loss(scores, target % 5 - 1, 2.0, 0.25, None, 'none')
    ignored = target % 5 == 0
    assert not loss[ignored].any() and loss[~ignored].all()
    loss = operators.softmax_focal_loss(scores, target % 5 - 1, 2.0, 0.25, None, 'sum')
    grad = torch.autograd.grad(loss, scores)[0]
    assert not grad[ignored].any() and grad[~ignored].all()


def test_logits_far_away_give_a_finite_loss(operators):
    """The logarithm of the smallest normal number is the largest, as in the compiled operators."""
    scores = torch.tensor([[200.0, -200.0]]).requires_grad_()
    for dtype in (torch.float32, torch.float16):
        for target in (0, 1, 2):
            loss = operators.sigmoid_focal_loss(
                scores.to(dtype), torch.tensor([target]), 2.0, 0.25, None, 'none'
            )
            largest = -math.log(torch.finfo(torch.float32).tiny)
            expected = [0 if target == 0 else 0.75 * largest, 0.25 * largest if target == 1 else 0]
            torch.testing.assert_close(
                loss, torch.tensor([expected], dtype=dtype), rtol=1e-3, atol=0
            )
            assert torch.autograd.grad(loss.sum(), scores)[0].isfinite().all()


def test_no_rows(operators):
    scores = torch.zeros(0, 5).requires_grad_()
    for function in (operators.sigmoid_focal_loss, operators.softmax_focal_loss):
        loss = function(scores, torch.zeros(0, dtype=torch.long), 2.0, 0.25, None, 'sum')
        assert loss == 0
        assert torch.autograd.grad(loss, scores)[0].shape == (0, 5)
