"""Comparison of the dice losses with the numbers of the released program.

The released program adds float32 numbers one by one, so the rounding error of its sums grows with
the image size. The losses reproduce it with ``released_sums=True`` and are exact otherwise.
"""

import pytest

from tests.parity.scfnet import Dice


def exact_dice(prob, target):
    """Return the dice of maps (N, 1, H, W), summed in float64."""
    prob, target = prob.double().flatten(1), target.double().flatten(1)
    overlap, total = (prob * target).sum(1), (prob + target).sum(1)
    return (1 - (2 * overlap + 1) / (total + 1)).mean().item()


def check_against_release(value: Dice) -> None:
    """Check that the loss is exact to 1e-6 and with released_sums equals the released one."""
    exact = exact_dice(value.prob, value.target)
    assert value.exact.item() == pytest.approx(exact, abs=1e-6), value.name
    assert value.as_released.item() == pytest.approx(value.released, rel=2e-6), value.name
