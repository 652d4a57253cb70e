"""Bad gradients are set to zero on the device, good ones are not touched."""

import math

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from mmkd_sod.engine.gradients import GradientGuard, collapsed_loss_scale


def wrapper():
    weights = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))]
    return weights, OptimWrapper(torch.optim.SGD(weights, lr=1.0))


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf, 3e38])
def test_a_bad_gradient_moves_no_weight(bad):
    weights, optim_wrapper = wrapper()
    step = optim_wrapper.step
    guard = GradientGuard(optim_wrapper)
    for gradient, expected in ((0.5, False), (bad, True), (0.5, True)):
        weights[0].grad, weights[1].grad = torch.full((2,), gradient), torch.ones(3)
        optim_wrapper.step()
        assert bool(guard.found) is expected
    assert weights[0].tolist() == [0.0, 0.0] and weights[1].tolist() == [-1.0, -1.0, -1.0]
    guard.forget()
    assert guard.found is None
    guard.remove()
    assert optim_wrapper.step == step


def test_a_parameter_without_gradient_is_none():
    optim_wrapper = wrapper()[1]
    guard = GradientGuard(optim_wrapper)
    optim_wrapper.step()
    assert guard.found is None


def test_the_scaler_of_mixed_precision_is_read(monkeypatch):
    assert collapsed_loss_scale(wrapper()[1]) is None
    amp = AmpOptimWrapper.__new__(AmpOptimWrapper)
    for scale, expected in ((1024.0, None), (1e-30, 1e-30), (0.0, 0.0)):
        amp.loss_scaler = type('Scaler', (), dict(get_scale=lambda self, scale=scale: scale))()
        assert collapsed_loss_scale(amp) == expected
