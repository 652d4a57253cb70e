"""Convolution at some pixels only; mmcv has no compiled operator of it on a CPU."""

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops import masked_conv as ours

from .parity import Operators


@pytest.fixture
def operators(monkeypatch):
    return Operators('masked_conv', ours, monkeypatch)


@pytest.mark.parametrize(('kernel', 'padding'), [((1, 1), 0), ((3, 3), 1), ((5, 3), (2, 1))])
def test_it_is_a_convolution_where_the_mask_is_set(operators, kernel, padding):
    maps, weight, bias = torch.randn(1, 3, 7, 8), torch.randn(4, 3, *kernel), torch.randn(4)
    expected = F.conv2d(maps, weight, bias, padding=padding)
    mask = torch.rand(1, *expected.shape[2:]) > 0.6
    for some in (mask, torch.zeros_like(mask), torch.ones_like(mask)):
        result = operators.masked_conv2d(maps, some.float(), weight, bias, padding)
        torch.testing.assert_close(result, expected * some)


def test_strides_and_half_precision_and_the_module(operators):
    module = operators.MaskedConv2d(3, 4, (1, 3), padding=(0, 1))
    maps = torch.randn(1, 3, 6, 7).to(memory_format=torch.channels_last)
    mask = torch.rand(1, 6, 7)
    with torch.no_grad():
        torch.testing.assert_close(module(maps, mask), module(maps) * (mask > 0))
        half = module.half()(maps.half(), mask.half())
    assert half.dtype == torch.float16 and half.isfinite().all()
