"""Content-aware upsampling; mmcv has no compiled operators of it on a CPU."""

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops import carafe as ours

from .parity import Operators


@pytest.fixture
def operators(monkeypatch):
    return Operators('carafe', ours, monkeypatch)


def made(kernel, groups, scale, dtype=torch.float64):
    features = torch.randn(2, 6, 4, 5, dtype=dtype)
    return features, torch.rand(2, groups * kernel**2, 4 * scale, 5 * scale, dtype=dtype)


def by_unfolding(features, masks, kernel, groups, scale):
    """Neighbourhoods of the repeated input pixels times the masks."""
    number, channels, height, width = features.shape
    near = F.unfold(features, kernel, padding=kernel // 2).view(
        number, groups, channels // groups, kernel**2, height, width
    )
    near = near.repeat_interleave(scale, 4).repeat_interleave(scale, 5)
    weights = masks.view(number, groups, 1, kernel**2, height * scale, width * scale)
    return (near * weights).sum(3).flatten(1, 2)


@pytest.mark.parametrize('sizes', [(5, 1, 2), (3, 2, 1), (1, 3, 3), (7, 6, 2)])
def test_each_pixel_sums_a_neighbourhood(operators, sizes):
    features, masks = made(*sizes)
    expected = by_unfolding(features, masks, *sizes)
    torch.testing.assert_close(operators.carafe(features, masks, *sizes), expected)
    torch.testing.assert_close(operators.carafe_naive(features, masks, *sizes), expected)
    strided = features.to(memory_format=torch.channels_last), masks.mT.contiguous().mT
    torch.testing.assert_close(operators.carafe(*strided, *sizes), expected)


@pytest.mark.parametrize('sizes', [(5, 1, 2), (3, 2, 1)])
def test_gradients_are_those_of_the_output(operators, sizes):
    inputs = [one.requires_grad_() for one in made(*sizes)]
    assert torch.autograd.gradcheck(
        lambda *args: operators.carafe(*args, *sizes), inputs, fast_mode=True
    )


def test_the_naive_gradients_are_the_same(operators):
    """mmcv's naive function asserts a GPU in its backward."""
    features, masks = made(3, 2, 2)
    leaves = [one.clone().requires_grad_() for one in (features, masks)]
    grad_output = torch.randn(2, 6, 8, 10, dtype=torch.float64)
    expected = torch.autograd.grad(operators.carafe(*leaves, 3, 2, 2), leaves, grad_output)
    grads = [torch.zeros_like(one) for one in (features, masks)]
    operators.plain.carafe_naive_backward(
        grad_output, features, masks, *grads, kernel_size=3, group_size=2, scale_factor=2
    )
    for one, other in zip(grads, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_module_in_training(operators):
    module = operators.CARAFEPack(6, 2, up_kernel=5, up_group=1)
    maps = torch.randn(2, 6, 4, 5).requires_grad_()
    module(maps).square().sum().backward()
    assert module(maps).shape == (2, 6, 8, 10) and maps.grad.isfinite().all()
