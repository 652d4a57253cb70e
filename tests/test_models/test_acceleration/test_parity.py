"""How far answers move."""

import math

import pytest
import torch

from mmkd_sod.models.acceleration.parity import full_float32, largest_move


def test_moves_are_relative_to_each_maps_largest_number():
    wanted = torch.tensor([0.0, 200.0]), torch.tensor([0.01])
    assert largest_move(
        (torch.tensor([2.0, 200.0]), torch.tensor([0.01])), wanted
    ) == pytest.approx(0.01)
    # Small maps are measured against 1.
    assert largest_move((wanted[0], torch.tensor([0.06])), wanted) == pytest.approx(0.05)
    assert largest_move(wanted, wanted) == 0
    assert largest_move((), ()) == 0


def test_nan_is_no_small_move():
    nan, one = torch.tensor([math.nan]), torch.tensor([1.0])
    assert math.isnan(largest_move(nan, one))
    # Wherever it stands: a comparison with nan is false, so that max() would keep the other.
    assert math.isnan(largest_move((one + 1, nan), (one, one)))
    assert math.isnan(largest_move((nan, one + 1), (one, one)))


def test_other_numbers_of_tensors_are_refused():
    with pytest.raises(ValueError):
        largest_move([torch.rand(1)], [torch.rand(1)] * 2)


newer = pytest.mark.skipif(
    not hasattr(torch.backends, 'fp32_precision'), reason='torch has it since 2.9'
)


def ops():
    backends = torch.backends
    if not hasattr(backends, 'fp32_precision'):
        return ()
    return (
        backends.cuda.matmul,
        backends.cudnn.conv,
        backends.cudnn.rnn,
        backends.mkldnn.matmul,
        backends.mkldnn.conv,
    )


def precision():
    return [op.fp32_precision for op in ops()]


@pytest.fixture
def restored():
    """Precision settings as they were before the test."""
    before, matmul = precision(), torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(matmul)
    for op, value in zip(ops(), before, strict=True):
        op.fp32_precision = value


@pytest.mark.parametrize('matmul', ['highest', 'high', 'medium'])
def test_full_float32(restored, matmul):
    torch.set_float32_matmul_precision(matmul)
    before = precision()
    with torch.autocast('cpu', dtype=torch.bfloat16), full_float32('cpu'):
        assert torch.get_float32_matmul_precision() == 'highest'
        assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
        assert not torch.is_autocast_enabled('cpu')
    assert torch.get_float32_matmul_precision() == matmul
    assert torch.backends.cudnn.allow_tf32 and precision() == before


@newer
def test_full_float32_beside_the_settings_of_newer_torch(restored):
    torch.backends.cuda.matmul.fp32_precision = 'tf32'
    with pytest.raises(RuntimeError):
        torch.get_float32_matmul_precision()
    before = precision()
    with full_float32('cpu'):
        assert precision() == ['ieee'] * 5
    assert precision() == before


def test_settings_return_after_an_error(restored):
    with pytest.raises(ZeroDivisionError), full_float32('cpu'):
        raise ZeroDivisionError
    assert torch.backends.cudnn.allow_tf32
