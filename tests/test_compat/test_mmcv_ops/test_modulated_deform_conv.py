"""Deformable convolution with a factor per sample."""

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops import modulated_deform_conv as ours

from .parity import FORWARD, Operators, assert_alike, difference, needs_compiled
from .test_deform_conv import GEOMETRIES
from .test_deform_conv import made as made_without_mask


@pytest.fixture
def operators(monkeypatch):
    return Operators('modulated_deform_conv', ours, monkeypatch)


def made(geometry, *args, **kwargs):
    """Images, offsets, mask, kernel and bias, and the other arguments."""
    (images, offset, weight), arguments = made_without_mask(geometry, *args, **kwargs)
    mask = torch.rand_like(offset[:, ::2])
    return (images, offset, mask, weight, torch.randn_like(weight[:, 0, 0, 0])), arguments


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_without_offsets_it_is_a_convolution(operators, geometry):
    (images, offset, mask, weight, bias), arguments = made(geometry)
    result = operators.modulated_deform_conv2d(
        images, offset * 0, mask * 0 + 0.5, weight, bias, *arguments
    )
    torch.testing.assert_close(result, F.conv2d(images, weight / 2, bias, *arguments[:-1]))


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_gradients_are_those_of_the_output(operators, geometry):
    inputs, arguments = made(geometry, (4, 5), number=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *args: operators.modulated_deform_conv2d(*args, *arguments),
        [one.requires_grad_() for one in inputs],
        fast_mode=True,
    )


def test_no_images(operators):
    """mmcv's function refuses them before it comes to the operator."""
    (images, offset, mask, weight, bias), _ = made(GEOMETRIES[0])
    geometry = dict(
        kernel_h=3,
        kernel_w=3,
        stride_h=1,
        stride_w=1,
        pad_h=1,
        pad_w=1,
        dilation_h=1,
        dilation_w=1,
        group=1,
        deformable_group=1,
        with_bias=True,
    )
    images, offset, mask, output = images[:0], offset[:0], mask[:0], images.new_empty(0, 6, 9, 11)
    buffer = images.new_empty(0)
    operators.plain.modulated_deform_conv_forward(
        images, weight, bias, buffer, offset, mask, output, buffer, **geometry
    )
    grads = [torch.zeros_like(one) for one in (images, weight, bias, offset, mask)]
    operators.plain.modulated_deform_conv_backward(
        images, weight, bias, buffer, offset, mask, buffer, *grads, output, **geometry
    )
    assert not any(one.any() for one in grads)


def test_larger_offsets_are_read_number_after_number(operators):
    """As by the compiled operator, with which mmdet's DyHead was trained."""
    (images, offset, mask, weight, bias), arguments = made(GEOMETRIES[0])
    large = [
        F.pad(one.flatten(1), (0, one.shape[1] * 8)).view(2, -1, 1, one[0, 0].numel() + 8)
        for one in (offset, mask)
    ]
    leaves = [one.requires_grad_() for one in (images, *large, weight, bias)]
    result = operators.modulated_deform_conv2d(*leaves, *arguments)
    expected = operators.modulated_deform_conv2d(images, offset, mask, weight, bias, *arguments)
    torch.testing.assert_close(result, expected)
    for grad, one in zip(
        torch.autograd.grad(result.sum(), leaves[1:3]), (offset, mask), strict=True
    ):
        grad = grad.flatten(1)
        assert grad[:, : one[0].numel()].any() and not grad[:, one[0].numel() :].any()


def test_strides_change_nothing(operators):
    """The compiled operator reads what is not contiguous as if it were, and computes nonsense."""
    inputs, arguments = made(GEOMETRIES[2])
    expected = operators.modulated_deform_conv2d(*inputs, *arguments)
    for strided in (
        [one.to(memory_format=torch.channels_last) for one in inputs[:4]],
        [one.mT.contiguous().mT for one in inputs[:4]],
    ):
        result = operators.modulated_deform_conv2d(*strided, inputs[4], *arguments)
        torch.testing.assert_close(result, expected)


@needs_compiled
@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('spread', [0, 0.3, 2, 30])
def test_agrees_with_the_compiled_one(operators, geometry, spread):
    inputs, arguments = made(geometry, spread=spread)
    assert_alike(
        operators, lambda *args: operators.modulated_deform_conv2d(*args, *arguments), *inputs
    )

    def without_bias(images, offset, mask, weight):
        return operators.modulated_deform_conv2d(images, offset, mask, weight, None, *arguments)

    assert_alike(operators, without_bias, *inputs[:4])


@needs_compiled
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_agrees_at_whole_positions(operators, dtype):
    (images, offset, *others), arguments = made(GEOMETRIES[2], spread=3, dtype=dtype)
    assert_alike(
        operators,
        lambda *args: operators.modulated_deform_conv2d(*args, *arguments),
        images,
        offset.round(),
        *others,
    )


@needs_compiled
def test_the_module_runs_on_ours(operators):
    module = operators.ModulatedDeformConv2dPack(4, 4, 3, padding=1, deform_groups=2)
    module.conv_offset.weight.data.normal_()
    images = torch.randn(2, 4, 7, 7)
    mine, other = operators.both(lambda: module(images).detach())
    assert difference(mine, other) <= FORWARD


@needs_compiled
def test_agrees_on_offsets_that_are_larger_than_the_output(operators):
    (images, offset, mask, weight, bias), _ = made(GEOMETRIES[2], size=(8, 8))
    assert_alike(
        operators,
        lambda *args: operators.modulated_deform_conv2d(*args, 2, 2, 2, 1, 4),
        images,
        offset,
        mask,
        weight,
        bias,
    )
