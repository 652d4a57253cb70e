"""Entropy of a teacher's maps, and the temperature that gives a wanted entropy."""

import math

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmkd_sod.errors import ConfigError

# More positions do not change the entropy noticeably.
MAX_POSITIONS = 1 << 14
# Parts of the interval of temperatures per step on a GPU.
_PARTS = 32


def sampled_scores(logits: Tensor) -> Tensor:
    """Return the logits of evenly spaced positions.

    Args:
        logits (Tensor): (N, C, H, W), any floating type; C = 1 counts as two classes.

    Returns:
        Tensor: (positions, classes), float32, detached.
    """
    scores = logits.detach().float().movedim(1, -1).flatten(0, -2)
    scores = scores[:: max(1, len(scores) // MAX_POSITIONS)]
    if scores.shape[1] == 1:
        scores = torch.cat([scores, torch.zeros_like(scores)], 1)
    return scores


def _entropy(scores: Tensor) -> Tensor:
    """Return the relative entropy of (..., positions, classes), shape (...)."""
    log_prob = scores.log_softmax(-1)
    return -(log_prob.exp() * log_prob).sum(-1).mean(-1) / math.log(scores.shape[-1])


def map_entropy(logits: Tensor, tau: float | Tensor = 1.0) -> Tensor:
    """Return the mean entropy of the class distribution per position, relative to its maximum.

    Near 0 the teacher is saturated and its soft map equals its hard one; at 1 all classes are
    equally likely.

    Args:
        logits (Tensor): (N, C, H, W); one channel counts as two classes (sigmoid).
        tau (float | Tensor): Temperature that divides the logits.

    Returns:
        Tensor: Scalar in [0, 1], without gradient.
    """
    return _entropy(sampled_scores(logits) / tau)


def fit_temperature(
    logits: Tensor,
    entropy: float,
    low: float = 0.05,
    high: float = 1000.0,
    steps: int = 30,
    all_ranks: bool = False,
) -> Tensor:
    """Find the temperature at which maps have a given entropy, without a host synchronisation.

    By bisection of its logarithm; on a GPU each step divides the interval into ``_PARTS`` at once,
    which takes fewer kernels and, over ranks, fewer collectives.

    Args:
        logits (Tensor): (N, C, H, W).
        entropy (float): Wanted value of ``map_entropy``, in (0, 1).
        low (float): Lowest temperature; returned if the entropy is higher there.
        high (float): Highest temperature; returned if the entropy is lower there.
        steps (int): Number of bisections.
        all_ranks (bool): Use the maps of all ranks; every rank must make the call.

    Returns:
        Tensor: Temperature, a scalar in float32.

    Raises:
        ConfigError: ``entropy`` is not between 0 and 1.
    """
    if not 0 < entropy < 1:
        raise ConfigError(
            f'fit_temperature: entropy={entropy} must be above 0 (saturated) and '
            'below 1 (uniform); set target_entropy in between'
        )
    scores = sampled_scores(logits)
    parts = 2 if scores.is_cpu else _PARTS
    # float64, in which the width of the last interval is no rounding error.
    start = scores.new_full((), math.log(low), dtype=torch.float64)
    width = math.log(high) - math.log(low)
    inner = torch.arange(1, parts, device=scores.device, dtype=torch.float64)
    for _ in range(math.ceil(steps / math.log2(parts))):
        width /= parts
        taus = (start + width * inner).exp().float()
        found = _entropy(scores / taus.view(-1, 1, 1))
        if all_ranks:
            all_reduce(found, 'mean')
        # Entropy grows with the temperature.
        start = start + width * (found < entropy).sum()
    return (start + width / 2).exp().float()
