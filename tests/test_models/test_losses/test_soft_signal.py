"""Entropy of maps and the temperature of a given entropy."""

import math

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.soft_signal import fit_temperature, map_entropy


def test_entropy_by_hand():
    # Half of the positions at probability 1/4, the others certain.
    logits = torch.tensor([[[[math.log(1 / 3), 50.0], [math.log(1 / 3), -50.0]]]])
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert map_entropy(logits) == pytest.approx(quarter / 2, rel=1e-5)


@pytest.mark.parametrize('channels', [1, 2, 7])
def test_entropy_of_saturated_and_uniform_maps(channels):
    logits = torch.randn(2, channels, 9, 9)
    assert map_entropy(torch.zeros_like(logits)) == pytest.approx(1)
    assert map_entropy(logits * 1000) < 0.01
    values = [map_entropy(logits, tau) for tau in (0.5, 1, 2, 8)]
    assert values == sorted(values)


@pytest.mark.parametrize('channels', [1, 5])
def test_the_fitted_temperature_gives_the_entropy(channels):
    logits = torch.randn(2, channels, 40, 30) * 20
    for wanted in (0.1, 0.5, 0.9):
        tau = fit_temperature(logits, wanted)
        assert map_entropy(logits, tau) == pytest.approx(wanted, abs=1e-3)


def test_bounds_if_no_temperature_fits():
    assert fit_temperature(torch.zeros(1, 1, 4, 4), 0.5) == pytest.approx(0.05, rel=1e-3)
    assert fit_temperature(torch.full((1, 1, 4, 4), 1e9), 0.5) == pytest.approx(1000, rel=1e-3)
    with pytest.raises(ConfigError, match='entropy=1 must be above 0'):
        fit_temperature(torch.zeros(1, 1, 4, 4), 1)


def test_large_half_precision_maps_are_sampled():
    logits = torch.randn(2, 1, 256, 256)
    part = map_entropy(logits[:, :, ::2, ::2]).item()
    assert map_entropy(logits.half()).item() == pytest.approx(part, abs=0.02)
    assert not map_entropy(logits.requires_grad_()).requires_grad
