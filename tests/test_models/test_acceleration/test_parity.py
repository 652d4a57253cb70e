"""How far answers move."""
import math

import pytest
import torch

from mmkd_sod.models.acceleration.parity import largest_move


def test_moves_are_relative_to_each_maps_largest_number():
    wanted = torch.tensor([0., 200.]), torch.tensor([0.01])
    assert largest_move((torch.tensor([2., 200.]), torch.tensor([0.01])), wanted) == pytest.approx(
        0.01)
    # Small maps are measured against 1.
    assert largest_move((wanted[0], torch.tensor([0.06])), wanted) == pytest.approx(0.05)
    assert largest_move(wanted, wanted) == 0
    assert largest_move((), ()) == 0


def test_nan_is_no_small_move():
    nan, one = torch.tensor([math.nan]), torch.tensor([1.])
    assert math.isnan(largest_move(nan, one))
    # Wherever it stands: a comparison with nan is false, so that max() would keep the other.
    assert math.isnan(largest_move((one + 1, nan), (one, one)))
    assert math.isnan(largest_move((nan, one + 1), (one, one)))


def test_other_numbers_of_tensors_are_refused():
    with pytest.raises(ValueError):
        largest_move([torch.rand(1)], [torch.rand(1)] * 2)
