"""Batch normalization across processes, here one; mmcv has no compiled operator on a CPU."""

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops import sync_bn as ours

from .parity import Operators


@pytest.fixture
def operators(monkeypatch):
    return Operators('sync_bn', ours, monkeypatch)


@pytest.mark.parametrize('mode', ['default', 'N'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_it_is_batch_normalization(operators, mode, dtype):
    maps, weight, bias = torch.randn(3, 4, 5, 6) * 2 + 1, torch.rand(4), torch.randn(4)
    maps = maps.to(dtype).float()
    statistics = [(torch.zeros(4), torch.ones(4)) for _ in range(2)]
    leaves = [[one.clone().requires_grad_() for one in (maps, weight, bias)] for _ in range(2)]
    mine = operators.SyncBatchNormFunction.apply(
        leaves[0][0].to(dtype), *statistics[0], *leaves[0][1:], 0.3, 1e-5, None, 1, mode
    )
    theirs = F.batch_norm(leaves[1][0], *statistics[1], *leaves[1][1:], True, 0.3, 1e-5)
    exactness = dict(rtol=1e-5, atol=1e-5) if dtype == torch.float32 else dict(rtol=0.01, atol=0.01)
    torch.testing.assert_close(mine.float(), theirs, **exactness)
    for one, other in zip(*statistics, strict=True):
        torch.testing.assert_close(one, other)
    weighting = torch.randn(3, 4, 5, 6).to(dtype)
    grads = [
        torch.autograd.grad((value * weighting).sum(), leaf)
        for value, leaf in zip((mine, theirs), leaves, strict=True)
    ]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, **exactness)


def test_no_images(operators):
    statistics = torch.zeros(4), torch.ones(4)
    result = operators.SyncBatchNormFunction.apply(
        torch.zeros(0, 4, 5, 6), *statistics, torch.ones(4), torch.zeros(4), 0.3, 1e-5, None, 1, 'N'
    )
    assert result.shape == (0, 4, 5, 6) and not statistics[0].any()
