"""Maximum over a square: every implementation equals torch's pooling bit for bit."""

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.models.losses.square_max import square_max

WINDOWS = (1, 3, 5, 7, 9, 13)


def pooled(x, window):
    """Return the result of torch's pooling, rows first."""
    x = F.max_pool2d(x, (1, window), stride=1, padding=(0, window // 2))
    return F.max_pool2d(x, (window, 1), stride=1, padding=(window // 2, 0))


def maps(kind):
    """Return maps with distinct, often equal or non-finite values."""
    x = torch.randn(2, 3, 20, 9, generator=torch.Generator().manual_seed(0))
    if kind == 'ties':
        x = (x * 2).round() / 2
    if kind == 'infinite':
        x[0, 0, 3, 3], x[1, 2, 10, 8], x[1, 0] = float('inf'), -float('inf'), -float('inf')
    if kind == 'nan':
        x[0, 1, 19, 0] = float('nan')
    return x


@pytest.mark.parametrize('kind', ['different', 'ties', 'infinite', 'nan'])
@pytest.mark.parametrize('window', WINDOWS)
def test_values_are_those_of_a_square_pooling(kind, window):
    x = maps(kind)
    expected = F.max_pool2d(x, window, stride=1, padding=window // 2)
    for each in (x, x.clone().requires_grad_()):
        assert torch.equal(square_max(each, window).nan_to_num(7e7), expected.nan_to_num(7e7))


@pytest.mark.parametrize('kind', ['different', 'ties', 'infinite'])
@pytest.mark.parametrize('window', WINDOWS)
def test_gradients_are_those_of_pooling_by_rows_and_columns(kind, window):
    found, wanted = maps(kind).requires_grad_(), maps(kind).requires_grad_()
    grad = torch.randint(-8, 9, found.shape).float()  # sums of integers do not depend on the order
    square_max(found, window).backward(grad)
    pooled(wanted, window).backward(grad)
    assert torch.equal(found.grad, wanted.grad)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_layouts_and_types(layout, dtype):
    x = maps('different').to(dtype).to(memory_format=layout)
    for each in (x, x.clone().requires_grad_(), x.transpose(2, 3)):
        found = square_max(each, 5)
        assert found.dtype == dtype and torch.equal(found, pooled(each, 5))


@pytest.mark.parametrize('shape', [(1, 1, 1, 1), (1, 1, 2, 30), (3, 1, 30, 1)])
def test_a_window_wider_than_the_map(shape):
    x = torch.randn(shape)
    for each in (x, x.clone().requires_grad_()):
        assert torch.equal(square_max(each, 13), F.max_pool2d(x, 13, stride=1, padding=6))


def test_no_graph_without_gradients():
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    with torch.no_grad():
        assert not square_max(x, 3).requires_grad
    assert torch.autograd.gradcheck(
        lambda t: square_max(t, 3), x.detach().double().requires_grad_()
    )
