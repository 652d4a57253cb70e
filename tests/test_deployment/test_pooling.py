"""Adaptive pooling by matrices equals torch's."""

import pytest
import torch
from torch import nn

from mmkd_sod.deployment.pooling import MatmulAdaptivePool, with_exportable_pooling


@pytest.mark.parametrize('output', [1, 2, 3, 6, (4, 7), (None, 5), (5, None)])
@pytest.mark.parametrize('size', [(23, 30), (6, 6), (5, 3), (1, 8)])
def test_equals_torch(output, size):
    x = torch.randn(2, 3, *size)
    expected = nn.AdaptiveAvgPool2d(output)(x)
    torch.testing.assert_close(MatmulAdaptivePool(output)(x), expected, rtol=1e-5, atol=1e-6)


def test_only_a_copy_is_changed():
    model = nn.Sequential(
        nn.Sequential(nn.AdaptiveAvgPool2d(3)),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((1, 1)),
    )
    copy = with_exportable_pooling(model)
    assert isinstance(model[0][0], nn.AdaptiveAvgPool2d)
    assert isinstance(copy[0][0], MatmulAdaptivePool)
    assert all(isinstance(copy[i], nn.AdaptiveAvgPool2d) for i in (1, 2))
