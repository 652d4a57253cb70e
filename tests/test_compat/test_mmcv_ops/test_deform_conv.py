"""Deformable convolution."""

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops import deform_conv as ours

from .parity import FORWARD, Operators, assert_alike, difference, needs_compiled

# Channels, outputs, kernel, stride, padding, dilation, groups, deformable groups.
GEOMETRIES = [
    (4, 6, (3, 3), 1, 1, 1, 1, 1),
    (4, 6, (3, 3), 2, 1, 1, 2, 1),
    (8, 4, (3, 3), 1, 2, 2, 1, 4),
    (8, 8, (3, 3), 2, 0, 1, 4, 2),
    (4, 4, (1, 1), 1, 0, 1, 1, 2),
    (6, 3, (2, 5), (2, 1), (1, 3), (1, 2), 3, 3),
]


@pytest.fixture
def operators(monkeypatch):
    return Operators('deform_conv', ours, monkeypatch)


def made(geometry, size=(9, 11), spread=2.0, number=2, dtype=torch.float32):
    """Images, offsets that reach beyond the border, kernel, and the other arguments."""
    channels, outputs, kernel, *others, groups, deform_groups = geometry
    weight = torch.randn(outputs, channels // groups, *kernel, dtype=dtype)
    images = torch.randn(number, channels, *size, dtype=dtype)
    out = F.conv2d(images, weight.new_zeros(1, channels, *kernel), None, *others).shape[2:]
    offset = torch.randn(number, deform_groups * 2 * weight[0, 0].numel(), *out, dtype=dtype)
    return (images, offset * spread, weight), (*others, groups, deform_groups)


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_without_offsets_it_is_a_convolution(operators, geometry):
    (images, offset, weight), arguments = made(geometry)
    result = operators.deform_conv2d(images, offset * 0, weight, *arguments)
    expected = F.conv2d(images, weight, None, *arguments[:-1])
    torch.testing.assert_close(result, expected)


def test_whole_offsets_shift_and_zeros_lie_outside(operators):
    images = torch.arange(12.0).view(1, 1, 3, 4)
    offset = torch.zeros(1, 2, 3, 4)
    offset[:, 0], offset[:, 1] = 1, -2
    result = operators.deform_conv2d(images, offset, torch.ones(1, 1, 1, 1))
    assert result[0, 0].tolist() == [[0, 0, 4, 5], [0, 0, 8, 9], [0, 0, 0, 0]]
    offset[:, 0], offset[:, 1] = -0.5, 0.0
    result = operators.deform_conv2d(images, offset, torch.ones(1, 1, 1, 1))
    assert result[0, 0].tolist() == [[0, 0.5, 1, 1.5], [2, 3, 4, 5], [6, 7, 8, 9]]


def test_parts_change_nothing(operators, monkeypatch):
    (images, offset, weight), arguments = made(GEOMETRIES[3])

    def run():
        inputs = [one.clone().requires_grad_() for one in (images, offset, weight)]
        result = operators.deform_conv2d(*inputs, *arguments)
        return result, *torch.autograd.grad(result.square().sum(), inputs)

    whole = run()
    monkeypatch.setitem(ours.COLUMNS, 'cpu', 8 * 9 * 7)
    for one, other in zip(run(), whole, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_gradients_are_those_of_the_output(operators, geometry):
    inputs, arguments = made(geometry, (4, 5), number=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *args: operators.deform_conv2d(*args, *arguments),
        [one.requires_grad_() for one in inputs],
        fast_mode=True,
    )


def test_an_offset_that_is_nan_gives_zero(operators):
    (images, offset, weight), arguments = made(GEOMETRIES[0])
    offset = (offset * 0 + torch.nan).requires_grad_()
    result = operators.deform_conv2d(images, offset, weight, *arguments)
    assert not result.any()
    assert not torch.autograd.grad(result.sum(), offset)[0].any()


def test_half_precision_and_autocast(operators):
    (images, offset, weight), arguments = made(GEOMETRIES[2])
    exact = operators.deform_conv2d(images, offset, weight, *arguments)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(operators.deform_conv2d(images, offset, weight, *arguments), exact)
    # The offsets are the same for both.
    offset = offset.half()
    exact = operators.deform_conv2d(images, offset.float(), weight, *arguments)
    half = [one.half().requires_grad_() for one in (images, offset, weight)]
    result = operators.deform_conv2d(*half, *arguments)
    assert result.dtype == torch.float16
    assert difference(result.float(), exact) < 5e-3
    assert all(torch.isfinite(one).all() for one in torch.autograd.grad(result.sum(), half))


@needs_compiled
@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('spread', [0, 0.3, 2, 30])
def test_agrees_with_the_compiled_one(operators, geometry, spread):
    inputs, arguments = made(geometry, spread=spread)
    assert_alike(operators, lambda *args: operators.deform_conv2d(*args, *arguments), *inputs)


@needs_compiled
@pytest.mark.parametrize('geometry', GEOMETRIES[:3])
def test_agrees_in_double_precision(operators, geometry):
    inputs, arguments = made(geometry, dtype=torch.float64)
    assert_alike(operators, lambda *args: operators.deform_conv2d(*args, *arguments), *inputs)


@needs_compiled
def test_agrees_at_whole_positions_and_at_the_border(operators):
    """Where the gradient by the offset is not unique: zero offsets are how a training begins."""
    (images, offset, weight), arguments = made(GEOMETRIES[2], spread=3)
    assert_alike(
        operators,
        lambda *args: operators.deform_conv2d(*args, *arguments),
        images,
        offset.round(),
        weight,
    )


@needs_compiled
def test_agrees_at_256_channels(operators):
    inputs, arguments = made((256, 64, (3, 3), 1, 1, 1, 1, 1), (20, 24))
    assert_alike(operators, lambda *args: operators.deform_conv2d(*args, *arguments), *inputs)


def test_strides_change_nothing(operators):
    """The compiled operator refuses inputs that are not contiguous."""
    inputs, arguments = made(GEOMETRIES[2])
    weighting = torch.randn(operators.deform_conv2d(*inputs, *arguments).shape)

    def run(*inputs):
        leaves = [one.detach().requires_grad_() for one in inputs]
        result = operators.deform_conv2d(*leaves, *arguments)
        return result, *torch.autograd.grad((result * weighting).sum(), leaves)

    for strided in (
        [one.to(memory_format=torch.channels_last) for one in inputs],
        [one.mT.contiguous().mT for one in inputs],
    ):
        for one, other in zip(run(*strided), run(*inputs), strict=True):
            torch.testing.assert_close(one, other)


@needs_compiled
@pytest.mark.parametrize('step', [1, 2, 32])
def test_agrees_at_any_im2col_step(operators, step):
    inputs, arguments = made(GEOMETRIES[0], number=4)
    assert_alike(
        operators, lambda *args: operators.deform_conv2d(*args, *arguments, False, step), *inputs
    )


@needs_compiled
def test_the_module_runs_on_ours(operators):
    module = operators.DeformConv2dPack(4, 4, 3, padding=1, deform_groups=2)
    module.conv_offset.weight.data.normal_()
    images = torch.randn(2, 4, 7, 7)
    mine, other = operators.both(lambda: module(images).detach())
    assert difference(mine, other) <= FORWARD
