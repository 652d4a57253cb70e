"""Dice in the arithmetic of the released program, to tell its rounding from a disagreement.

It adds ``P + G`` in float32, one number after another down the columns, so its sums carry a
rounding error that grows with the image (1e-5 of dice at 128 x 128). :func:`released_dice` repeats
that and meets the released numbers to 1e-6; the losses must meet :func:`exact_dice`.
"""
import numpy as np
import pytest


def _one_after_another(values):
    """Sum of (H, W) down the columns, each partial sum rounded to the array's type."""
    return np.cumsum(values.T.ravel(), dtype=values.dtype)[-1]


def _dice(prob, target, add):
    values = []
    for p, g in zip(prob.numpy(), target.numpy(), strict=True):
        overlap, total = add(p[0] * g[0]), add(p[0] + g[0])
        values.append(1 - (2 * overlap + 1) / (total + 1))
    return float(np.mean(values))


def released_dice(prob, target):
    """Dice of float32 maps (N, 1, H, W) with the released program's rounding."""
    return _dice(prob.float(), target.float(), _one_after_another)


def exact_dice(prob, target):
    """Dice of maps (N, 1, H, W), summed in float64."""
    return _dice(prob.double(), target.double(), np.sum)


def check_against_release(loss, prob, target, released):
    """The loss is exact to 1e-6, and the release gave the same to 1e-5 but for its rounding.

    Args:
        loss (Tensor): What the module under test gave.
        prob, target (Tensor): The maps whose dice it is.
        released (float): What the released program gave.
    """
    exact, rounded = exact_dice(prob, target), released_dice(prob, target)
    assert loss.item() == pytest.approx(exact, abs=1e-6)
    assert released in (pytest.approx(exact, rel=1e-5), pytest.approx(rounded, rel=1e-5))
