"""Multi-scale deformable attention; mmcv has no compiled operator of it on a CPU."""

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import ms_deform_attn as ours

from .parity import BACKWARD, FORWARD, Operators, difference, gradients


@pytest.fixture
def operators(monkeypatch):
    return Operators('multi_scale_deform_attn', ours, monkeypatch)


def made(dtype=torch.float32, number=2, queries=7, heads=3, points=4, channels=5):
    shapes = torch.tensor([[6, 4], [3, 2], [1, 1]])
    starts = torch.cat([shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]])
    value = torch.randn(number, int(shapes.prod(1).sum()), heads, channels, dtype=dtype)
    locations = torch.rand(number, queries, heads, 3, points, 2, dtype=dtype) * 1.6 - 0.3
    attention = torch.rand(number, queries, heads, 3, points, dtype=dtype)
    return (shapes, starts), (value, locations, attention)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('entries', [ours.ENTRIES['cpu'], 1])
def test_agrees_with_the_function_mmcv_uses_on_a_cpu(operators, monkeypatch, dtype, entries):
    monkeypatch.setitem(ours.ENTRIES, 'cpu', entries)
    (shapes, starts), inputs = made(dtype, number=3)
    mine = gradients(
        lambda value, *others: operators.MultiScaleDeformableAttnFunction.apply(
            value, shapes, starts, *others, 64
        ),
        *inputs,
    )
    theirs = gradients(
        lambda value, *others: operators.multi_scale_deformable_attn_pytorch(
            value, shapes, *others
        ),
        *inputs,
    )
    assert difference(mine[0], theirs[0]) <= FORWARD
    for one, other in zip(mine[1], theirs[1], strict=True):
        assert difference(one, other) <= BACKWARD


def test_gradients_are_those_of_the_output(operators):
    (shapes, starts), inputs = made(torch.float64)
    assert torch.autograd.gradcheck(
        lambda value, *others: operators.MultiScaleDeformableAttnFunction.apply(
            value, shapes, starts, *others, 64
        ),
        [one.requires_grad_() for one in inputs],
        fast_mode=True,
    )


def test_no_queries_no_images_and_half_precision(operators):
    (shapes, starts), (value, locations, attention) = made()

    def run(value, locations, attention):
        return operators.MultiScaleDeformableAttnFunction.apply(
            value, shapes, starts, locations, attention, 64
        )

    assert run(value, locations[:, :0], attention[:, :0]).shape == (2, 0, 15)
    assert run(value[:0], locations[:0], attention[:0]).shape == (0, 7, 15)
    half = run(value.half(), locations, attention)
    assert half.dtype == torch.float16
    assert difference(half.float(), run(value, locations, attention)) < 5e-3
