"""How much a teacher's maps say beyond their hard answer, and the temperature that makes it so."""
import math

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmkd_sod.errors import ConfigError

# Positions looked at; more of them change neither figure noticeably.
MAX_POSITIONS = 1 << 14


def sampled_scores(logits: Tensor) -> Tensor:
    """Logits of evenly spread positions, (positions, classes); a one-channel map has two classes.

    Args:
        logits (Tensor): (N, C, H, W), any floating type.

    Returns:
        Tensor: Float32, detached.
    """
    scores = logits.detach().float().movedim(1, -1).flatten(0, -2)
    scores = scores[::max(1, len(scores) // MAX_POSITIONS)]
    if scores.shape[1] == 1:
        scores = torch.cat([scores, torch.zeros_like(scores)], 1)
    return scores


def _entropy(scores: Tensor) -> Tensor:
    log_prob = scores.log_softmax(1)
    return -(log_prob.exp() * log_prob).sum(1).mean() / math.log(scores.shape[1])


def map_entropy(logits: Tensor, tau: float = 1.) -> Tensor:
    """Mean entropy of the classes of each position, as a share of the largest one possible.

    Near 0 the teacher is saturated: its softened map says no more than its hard one. At 1 it says
    nothing at all.

    Args:
        logits (Tensor): (N, C, H, W); one channel counts as two classes (sigmoid).
        tau (float): Temperature the logits are divided by.

    Returns:
        Tensor: Scalar in [0, 1], without gradient.
    """
    return _entropy(sampled_scores(logits) / tau)


def fit_temperature(logits: Tensor, entropy: float, low: float = .05, high: float = 1000.,
                    steps: int = 30, all_ranks: bool = False) -> float:
    """The temperature at which the maps have a wanted entropy.

    The entropy grows with the temperature, so halving the interval finds it.

    Args:
        logits (Tensor): (N, C, H, W).
        entropy (float): Wanted value of :func:`map_entropy`, between 0 and 1.
        low, high (float): Bounds; returned where the wanted value lies beyond.
        steps (int): Halvings; each on the logarithm.
        all_ranks (bool): Look at the maps of all ranks; then all of them have to call it.

    Returns:
        float: Temperature.

    Raises:
        ConfigError: ``entropy`` is not between 0 and 1.
    """
    if not 0 < entropy < 1:
        raise ConfigError(f'fit_temperature: entropy={entropy} must lie between 0 (saturated) and '
                          '1 (flat)')
    scores = sampled_scores(logits)
    low, high = math.log(low), math.log(high)
    for _ in range(steps):
        middle = (low + high) / 2
        found = _entropy(scores / math.exp(middle))
        if all_ranks:
            all_reduce(found, 'mean')
        if found < entropy:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)
