"""Alignment of tower features."""

import functools

import pytest
import torch

from mmkd_sod.models.task_modules import align_scale, channel_stats
from tests.ranks import in_ranks


def oracle(student, teacher, relu):
    out = torch.empty_like(student)
    for c in range(student.shape[1]):
        s, t = student[:, c], teacher[:, c]
        out[:, c] = (s - s.mean()) / (s.std() + 1e-6) * t.std() + t.mean()
    return out.clamp(min=0) if relu else out


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
    mean, std = channel_stats(first)
    torch.testing.assert_close((mean, std), channel_stats(teacher), rtol=1e-4, atol=1e-4)


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
    torch.testing.assert_close(out, teacher[0])
    assert torch.isfinite(student.grad).all()
    mean, std = channel_stats(student)
    assert torch.equal(mean, student) and not std.any()


def test_statistics_equal_torchs():
    feat = torch.randn(3, 4, 5, 6) * torch.tensor([1e-3, 1.0, 10.0, 1e3]).view(1, 4, 1, 1) + 2
    std, mean = torch.std_mean(feat, dim=(0, 2, 3), keepdim=True)
    torch.testing.assert_close(channel_stats(feat), (mean, std), rtol=1e-5, atol=1e-6)


def _share(shares, rank, world):
    student, teacher = shares[rank]
    return align_scale(student, channel_stats(teacher), False), *channel_stats(student)


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
    found = torch.cat([aligned.flatten(2)[0] for aligned, *_ in ranks], 1)
    torch.testing.assert_close(found, whole.view(3, 60), rtol=1e-5, atol=1e-5)
    for _, mean, std in ranks:
        torch.testing.assert_close(mean.flatten(), values.mean(1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(std.flatten(), values.std(1), rtol=1e-5, atol=1e-6)
