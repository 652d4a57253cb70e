"""Alignment of tower features."""

import functools

import pytest
import torch

from mmkd_sod.models.task_modules import align_scale, align_streams, channel_stats
from tests.ranks import in_ranks


def oracle(student, teacher, relu):
    out = torch.empty_like(student)
    for c in range(student.shape[1]):
        s, t = student[:, c], teacher[:, c]
        out[:, c] = (s - s.mean()) / (s.std() + 1e-6) * t.std() + t.mean()
    return out.clamp(min=0) if relu else out


def mean_and_std(feat):
    mean, variance, count = channel_stats(feat)
    return mean, (variance * count / (count - 1)).sqrt()


@pytest.mark.parametrize('relu', [False, True])
def test_equals_the_definition(relu):
    student, teacher = torch.randn(2, 3, 5, 4).double(), torch.randn(2, 3, 5, 4).double() * 3 + 1
    found = align_scale(student, channel_stats(teacher), relu)
    torch.testing.assert_close(found, oracle(student, teacher, relu), rtol=1e-5, atol=1e-6)


def test_gradient_flows_through_the_statistics():
    student = torch.randn(2, 3, 4, 4, requires_grad=True)
    teacher = torch.randn(2, 3, 4, 4)
    weight = torch.randn(2, 3, 4, 4)
    (align_scale(student, channel_stats(teacher), True) * weight).sum().backward()
    found, student.grad = student.grad.clone(), None
    (oracle(student, teacher, True) * weight).sum().backward()
    torch.testing.assert_close(found, student.grad, rtol=1e-4, atol=1e-5)


def test_invariant_to_the_students_scale_and_any_size():
    student, teacher = torch.randn(2, 3, 8, 8), torch.randn(1, 3, 5, 7)
    first = align_scale(student, channel_stats(teacher), False)
    second = align_scale(student * 5 + 2, channel_stats(teacher), False)
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)
    for found, wanted in zip(mean_and_std(first), mean_and_std(teacher), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_constant_channel_stays_finite():
    student = torch.ones(2, 3, 4, 4, requires_grad=True)
    out = align_scale(student, channel_stats(torch.randn(2, 3, 4, 4)), False)
    out.sum().backward()
    assert torch.isfinite(out).all()


def test_a_single_value_becomes_the_teachers():
    student = torch.randn(1, 3, 1, 1, requires_grad=True)
    teacher = torch.randn(1, 3, 1, 1)
    out = align_scale(student, channel_stats(teacher), False)
    assert torch.equal(out, teacher)
    out.sum().backward()
    assert torch.isfinite(student.grad).all()


def test_keeps_dtype_and_memory_format():
    student = torch.randn(2, 3, 4, 4).bfloat16().to(memory_format=torch.channels_last)
    out = align_scale(student, channel_stats(torch.randn(2, 3, 4, 4)), True)
    assert out.dtype == torch.bfloat16
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_a_single_value_per_channel_becomes_the_teachers_mean():
    student = torch.randn(1, 3, 1, 1, requires_grad=True)
    teacher = channel_stats(torch.randn(2, 3, 4, 4))
    out = align_scale(student, teacher, False)
    out.sum().backward()
    torch.testing.assert_close(out, teacher[0].view(1, 3, 1, 1))
    assert torch.isfinite(student.grad).all()
    mean, variance, count = channel_stats(student)
    assert torch.equal(mean, student.flatten()) and not variance.any() and count == 1


def test_statistics_equal_torchs():
    feat = torch.randn(3, 4, 5, 6) * torch.tensor([1e-3, 1.0, 10.0, 1e3]).view(1, 4, 1, 1) + 2
    std, mean = torch.std_mean(feat, dim=(0, 2, 3))
    for found, wanted in zip(mean_and_std(feat), (mean, std), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def _share(shares, rank, world):
    student, teacher = shares[rank]
    return align_scale(student, channel_stats(teacher), False)


def test_statistics_are_those_of_all_ranks(tmp_path):
    # Padding differs between ranks, so sizes may differ.
    values, wanted = torch.randn(3, 60) * 3 + 1, torch.randn(3, 80)
    shares = [
        (values[:, :36].view(1, 3, 6, 6), wanted[:, :20].view(1, 3, 4, 5)),
        (values[:, 36:].view(1, 3, 4, 6), wanted[:, 20:].view(1, 3, 10, 6)),
    ]
    whole = align_scale(
        values.view(1, 3, 1, 60), channel_stats(wanted.view(1, 3, 1, 80)), False
    ).flatten(1)
    ranks = in_ranks(2, functools.partial(_share, shares), tmp_path / 'ranks')
    found = torch.cat([aligned.flatten(2)[0] for aligned in ranks], 1)
    torch.testing.assert_close(found, whole.view(3, 60), rtol=1e-5, atol=1e-5)


def _streams(rank, world, relu=True):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        whole = torch.randn(4, *shape, generator=generator).to(torch.float64)
        return whole[rank * 4 // world : (rank + 1) * 4 // world].clone().requires_grad_()

    shared = draw(3, 6, 6)
    feats = dict(a=[shared, draw(5, 3, 3)], b=[shared, draw(5, 2, 2)])
    own = channel_stats(draw(3, 4, 4))
    stats = dict(a=[own, channel_stats(draw(5, 2, 2))], b=[own, channel_stats(draw(5, 2, 2))])
    aligned = align_streams(feats, stats, relu)
    assert aligned['a'][0] is aligned['b'][0]
    levels = [aligned['a'][0], aligned['a'][1], aligned['b'][1]]
    # Each rank's loss is a mean over its images, as losses are; the ranks' gradients are averaged.
    weights = [torch.linspace(-1, 2, level[0].numel()).view(level[0].shape) for level in levels]
    sum((level.square() * w).mean() for level, w in zip(levels, weights, strict=True)).backward()
    inputs = [shared, feats['a'][1], feats['b'][1]]
    return [level.detach() for level in levels], [x.grad / world for x in inputs]


def test_towers_and_levels_at_once(tmp_path):
    levels, grads = _streams(0, 1)
    ranks = in_ranks(2, _streams, tmp_path / 'ranks')
    for index in range(3):
        found = torch.cat([aligned[index] for aligned, _ in ranks])
        torch.testing.assert_close(found, levels[index], rtol=1e-9, atol=1e-9)
        found = torch.cat([grad[index] for _, grad in ranks])
        torch.testing.assert_close(found, grads[index], rtol=1e-8, atol=1e-9)
