"""Point-wise spatial attention masks."""

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import psa_mask as ours

from .parity import Operators, assert_alike, needs_compiled

# Maps and masks: as large as all places, smaller, larger, and of even sizes.
SIZES = [((3, 4), (5, 7)), ((4, 5), (3, 3)), ((2, 3), (7, 9)), ((3, 3), (2, 4))]


@pytest.fixture
def operators(monkeypatch):
    return Operators('psa_mask', ours, monkeypatch)


@pytest.mark.parametrize('kind', [0, 1])
@pytest.mark.parametrize(('size', 'mask'), SIZES)
def test_weights_come_to_the_pixels_they_are_for(operators, size, mask, kind):
    weights = torch.randn(2, mask[0] * mask[1], *size)
    result = operators.psa_mask(weights, kind, mask)
    expected = torch.zeros(2, size[0] * size[1], *size)
    for h, w, i, j in torch.cartesian_prod(*map(torch.arange, (*size, *mask))).tolist():
        y, x = h + i - (mask[0] - 1) // 2, w + j - (mask[1] - 1) // 2
        if 0 <= y < size[0] and 0 <= x < size[1]:
            value = weights[:, i * mask[1] + j, h, w]
            if kind == 0:
                expected[:, y * size[1] + x, h, w] = value
            else:
                expected[:, h * size[1] + w, y, x] = value
    assert torch.equal(result, expected)


@pytest.mark.parametrize('kind', ['collect', 'distribute'])
@pytest.mark.parametrize(('size', 'mask'), SIZES)
def test_gradients_are_those_of_the_output(operators, size, mask, kind):
    module = operators.PSAMask(kind, mask)
    weights = torch.randn(2, mask[0] * mask[1], *size, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, weights, fast_mode=True)


@needs_compiled
@pytest.mark.parametrize('kind', [0, 1])
@pytest.mark.parametrize(('size', 'mask'), SIZES)
def test_agrees_with_the_compiled_one(operators, size, mask, kind):
    weights = torch.randn(2, mask[0] * mask[1], *size)
    assert_alike(operators, lambda weights: operators.psa_mask(weights, kind, mask), weights)
