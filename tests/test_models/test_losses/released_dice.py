"""How the dice losses stand to the numbers of the released program.

That adds float32 numbers one after another, so its sums carry a rounding error that grows with the
image. The losses repeat it where they are asked to, and are exact otherwise.
"""
import pytest

from tests.parity.scfnet import Dice


def exact_dice(prob, target):
    """Dice of maps (N, 1, H, W), summed in float64."""
    prob, target = prob.double().flatten(1), target.double().flatten(1)
    overlap, total = (prob * target).sum(1), (prob + target).sum(1)
    return (1 - (2 * overlap + 1) / (total + 1)).mean().item()


def check_against_release(value: Dice) -> None:
    """The loss is exact to 1e-6, and what it gives with the release's rounding is the release's."""
    exact = exact_dice(value.prob, value.target)
    assert value.exact.item() == pytest.approx(exact, abs=1e-6), value.name
    assert value.as_released.item() == pytest.approx(value.released, rel=2e-6), value.name
