"""How the dice losses stand to the numbers of the released program.

That adds float32 numbers one after another, so its sums carry a rounding error that grows with the
image. The losses repeat it where they are asked to, and are exact otherwise.
"""
import pytest


def exact_dice(prob, target):
    """Dice of maps (N, 1, H, W), summed in float64."""
    prob, target = prob.double().flatten(1), target.double().flatten(1)
    overlap, total = (prob * target).sum(1), (prob + target).sum(1)
    return (1 - (2 * overlap + 1) / (total + 1)).mean().item()


def check_against_release(loss, as_released, prob, target, released):
    """The loss is exact to 1e-6, and what it gives with the release's rounding is the release's.

    Args:
        loss (Tensor): What the module under test gave.
        as_released (Tensor): The same with ``released_sums``.
        prob, target (Tensor): The maps whose dice it is.
        released (float): What the released program gave.
    """
    assert loss.item() == pytest.approx(exact_dice(prob, target), abs=1e-6)
    assert as_released.item() == pytest.approx(released, rel=2e-6)
