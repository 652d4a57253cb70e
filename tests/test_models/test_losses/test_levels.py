"""levels: how several maps are paired."""
import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.levels import as_levels, paired_levels, weights_of_levels


def test_pairs_are_float_detached_and_skip_weight_zero():
    s = [torch.randn(1, 1, 2, 2, requires_grad=True).half() for _ in range(3)]
    t = [torch.randn(1, 1, 2, 2, requires_grad=True) for _ in range(3)]
    pairs = list(paired_levels('Loss', s, t, (1, 0, 2)))
    assert [weight for weight, _, _ in pairs] == [1, 2]
    for _, a, b in pairs:
        assert a.dtype == b.dtype == torch.float32 and a.requires_grad and not b.requires_grad


def test_one_tensor_is_one_level():
    x = torch.randn(2, 1, 3, 3)
    assert len(as_levels(x)) == 1 and len(as_levels((x, x))) == 2


def test_refusals():
    with pytest.raises(ConfigError, match='Loss: level_weights='):
        weights_of_levels('Loss', 3, (1, 2))
    with pytest.raises(ConfigError, match='one at least'):
        list(paired_levels('Loss', [], [], None))
