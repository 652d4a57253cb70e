"""Levels and rows as inputs of losses: pairing, weights and errors."""

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.inputs import (
    as_levels,
    check_rows,
    pair_levels,
    paired_maps,
    weights_of_levels,
)


def test_maps_are_float_detached_and_skip_weight_zero():
    s = [torch.randn(1, 1, 2, 2, requires_grad=True).half() for _ in range(3)]
    t = [torch.randn(1, 1, 2, 2, requires_grad=True) for _ in range(3)]
    pairs = list(paired_maps('Loss', s, t, (1, 0, 2)))
    assert [weight for weight, _, _ in pairs] == [1, 2]
    for _, a, b in pairs:
        assert a.dtype == b.dtype == torch.float32 and a.requires_grad and not b.requires_grad


def test_pairs_may_differ_in_shape():
    s, t = torch.randn(2, 3), torch.randn(2, 5, requires_grad=True)
    ((weight, first, second),) = pair_levels('Loss', s, t, None)
    assert weight == 1 and first is s and torch.equal(second, t) and not second.requires_grad


def test_one_tensor_is_one_level():
    x = torch.randn(2, 1, 3, 3)
    assert len(as_levels(x)) == 1 and len(as_levels((x, x))) == 2


def test_refusals():
    with pytest.raises(ConfigError, match='Loss: level_weights='):
        weights_of_levels('Loss', 3, (1, 2))
    with pytest.raises(ConfigError, match='at least one'):
        pair_levels('Loss', [], [], None)


@pytest.mark.parametrize('shapes', [((2, 3), (2, 4)), ((1, 2, 3, 3), (1, 2, 3, 3))])
def test_rows_of_another_shape_are_refused(shapes):
    with pytest.raises(ConfigError, match='one shape .*DenseRows') as error:
        check_rows('Loss', *map(torch.zeros, shapes))
    assert all(str(shape) in str(error.value) for shape in shapes)
