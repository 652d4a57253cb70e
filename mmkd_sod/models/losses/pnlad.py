"""Positive and negative logits distillation (PNLAD of HKDNet)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .inputs import Levels, paired_maps

MODES = ('row', 'position', 'pixel')


def probability(logits: Tensor) -> Tensor:
    """Return the sigmoid of a one-channel map (N, 1, H, W), or the softmax over C > 1 channels."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def soft_distribution(scores: Tensor, mode: str) -> tuple[Tensor, int]:
    """Return the tensor and the dimension over which a mode takes its softmax.

    Args:
        scores (Tensor): (N, C, H, W).
        mode (str): One of ``MODES``; 'pixel' needs C >= 2.

    Returns:
        tuple: Scores, flattened for 'position', and a dimension.
    """
    if mode == 'row':
        return scores, 3
    if mode == 'position':
        return scores.flatten(2), 2
    return scores, 1


def divergence(student: Tensor, teacher: Tensor, mode: str) -> Tensor:
    """Return the KL divergence from teacher to student, averaged over the distributions.

    Args:
        student (Tensor): Scores (N, C, H, W), already divided by the temperature.
        teacher (Tensor): Scores of the same shape.
        mode (str): One of ``MODES``.

    Returns:
        Tensor: Scalar, >= 0 up to rounding. In float32 the relative rounding noise is about 1e-4 at
        temperatures above 30, where the distributions are almost flat.
    """
    student, dim = soft_distribution(student, mode)
    teacher, _ = soft_distribution(teacher, mode)
    kl = F.kl_div(student.log_softmax(dim), teacher.softmax(dim), reduction='none')
    return kl.sum(dim).mean()


@MODELS.register_module()
class PNLADLoss(nn.Module):
    """Positive and negative logits distillation of HKDNet (IEEE TSMC-S 2025).

    Positive term: KL divergence from ``softmax(T / tau_pos)`` of the teacher to
    ``softmax(S / tau_pos)`` of the student. Negative term: the same for the scores
    ``(1 - p(T)) / tau_neg`` and ``(1 - p(S)) / tau_neg``, where p is the sigmoid of a one-channel
    map and otherwise the softmax over the classes. The softmax of both terms runs over

    - 'row' (default, as in the released code): the width; one distribution per row and channel,
    - 'position': all positions; one distribution per channel,
    - 'pixel': the classes; one distribution per position. A one-channel map counts as two classes,
      with logits (S, 0) and complements (1 - p, p).

    Each term is a mean over its distributions, without the factor tau^2. Deviations: the released
    code has one-channel maps and 'row' only; its ground-truth term is a loss of its own here
    (``SaliencyBCELoss``).

    Args:
        tau_pos (float): Temperature of the positive term, above 0.
        tau_neg (float, optional): Temperature of the negative term, above 0; None disables that
            term.
        mode (str): 'row', 'position' or 'pixel'.
        level_weights (Sequence[float], optional): One weight per level, finest first; None means 1
            each. HKDNet uses (4, 1, 1, 1).
        pos_weight (float): Factor of the positive term.
        neg_weight (float): Factor of the negative term.

    Raises:
        ConfigError: The mode is unknown or a temperature is not positive.

    Examples:
        >>> loss = PNLADLoss(mode='pixel')
        >>> same = torch.randn(2, 5, 8, 8)
        >>> bool(loss(same, same).abs() < 1e-6)
        True
    """

    def __init__(
        self,
        tau_pos: float = 4.0,
        tau_neg: float | None = 4.0,
        mode: str = 'row',
        level_weights: Sequence[float] | None = None,
        pos_weight: float = 1.0,
        neg_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ConfigError(f'PNLADLoss: mode={mode!r} is unknown; use one of {MODES}')
        for key, tau in (('tau_pos', tau_pos), ('tau_neg', tau_neg)):
            if tau is not None and not tau > 0:
                raise ConfigError(f'PNLADLoss: {key}={tau} must be above 0; HKDNet uses 1 to 34')
        if tau_pos is None:
            raise ConfigError(
                'PNLADLoss: tau_pos=None is not a temperature; set pos_weight=0 to '
                'disable the positive term'
            )
        self.tau_pos, self.tau_neg = tau_pos, tau_neg
        self.mode = mode
        self.level_weights = level_weights
        self.pos_weight, self.neg_weight = pos_weight, neg_weight

    def positive(self, student: Levels, teacher: Levels, tau: float | None = None) -> Tensor:
        """Compute the positive term.

        Args:
            student (Tensor | Sequence[Tensor]): Logits (N, C, H, W), one map or one per level, any
                floating type; computed in float32.
            teacher (Tensor | Sequence[Tensor]): Of the same shapes; detached.
            tau (float, optional): Overrides ``tau_pos``, for schedules.

        Returns:
            Tensor: Scalar, summed over the levels.

        Raises:
            ConfigError: The numbers of levels and weights or the shapes differ.
        """
        tau = self.tau_pos if tau is None else tau
        return self.pos_weight * self._sum(
            lambda logits: self._two_class(logits, 0.0) / tau, student, teacher
        )

    def negative(self, student: Levels, teacher: Levels, tau: float | None = None) -> Tensor:
        """Compute the negative term; 0 without a temperature.

        Args and returns are those of ``positive``; ``tau`` overrides ``tau_neg``.
        """
        tau = self.tau_neg if tau is None else tau
        if tau is None:
            return self._sum(torch.zeros_like, student, teacher)

        def complement(logits):
            p = probability(logits)
            return self._two_class(1 - p, p) / tau

        return self.neg_weight * self._sum(complement, student, teacher)

    def forward(self, student: Levels, teacher: Levels) -> Tensor:
        """Return the sum of both terms at the configured temperatures; see ``positive``."""
        return self.positive(student, teacher) + self.negative(student, teacher)

    def _two_class(self, first: Tensor, second: Tensor | float) -> Tensor:
        """Append the second class to a one-channel map in mode 'pixel'."""
        if self.mode != 'pixel' or first.shape[1] != 1:
            return first
        if not isinstance(second, Tensor):
            second = torch.full_like(first, second)
        return torch.cat([first, second], 1)

    def _sum(self, scores, student: Levels, teacher: Levels) -> Tensor:
        total: Any = 0.0
        for weight, s, t in paired_maps('PNLADLoss', student, teacher, self.level_weights):
            total = total + weight * divergence(scores(s), scores(t), self.mode)
        return total

    def extra_repr(self) -> str:
        return f'mode={self.mode}, tau_pos={self.tau_pos}, tau_neg={self.tau_neg}'
