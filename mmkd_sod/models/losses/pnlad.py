"""Positive-negative logits distillation (HKDNet)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .levels import Levels, paired_levels

MODES = ('row', 'position', 'pixel')


def probability(logits: Tensor) -> Tensor:
    """Sigmoid of a one-channel map (N, 1, H, W), softmax over the channels of any other."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)


def soft_distribution(scores: Tensor, mode: str) -> tuple[Tensor, int]:
    """The tensor and its dimension over which a mode takes its softmax.

    Args:
        scores (Tensor): (N, C, H, W).
        mode (str): One of ``MODES``; 'pixel' needs C >= 2.

    Returns:
        tuple: Scores, possibly flattened, and a dimension.
    """
    if mode == 'row':
        return scores, 3
    if mode == 'position':
        return scores.flatten(2), 2
    return scores, 1


def divergence(student: Tensor, teacher: Tensor, mode: str) -> Tensor:
    """KL of the teacher's distributions to the student's, mean over the distributions.

    Args:
        student (Tensor): Scores (N, C, H, W), already divided by the temperature.
        teacher (Tensor): Of the same shape.
        mode (str): One of ``MODES``.

    Returns:
        Tensor: Scalar, >= 0 up to rounding: in float32 about 1e-4 of the value is noise where the
        temperature is above 30, as the distributions are then almost flat.
    """
    student, dim = soft_distribution(student, mode)
    teacher, _ = soft_distribution(teacher, mode)
    kl = F.kl_div(student.log_softmax(dim), teacher.softmax(dim), reduction='none')
    return kl.sum(dim).mean()


@MODELS.register_module()
class PNLADLoss(nn.Module):
    """Positive and negative logits distillation of HKDNet (IEEE TSMC-S 2025).

    Positive: KL of the student's ``softmax(S / tau_pos)`` from the teacher's. Negative: the same
    between ``(1 - p(S)) / tau_neg`` and ``(1 - p(T)) / tau_neg``, where p is the sigmoid of a
    one-channel map and the softmax over the classes of any other: what the teacher holds a position
    *not* to be. The softmax runs over

    - 'row' (default, as released): the last axis, the width; one distribution a row and channel,
    - 'position': all positions; one distribution a channel,
    - 'pixel': the classes; one distribution a position. A one-channel map counts as two classes,
      with logits (S, 0) and complements (1 - p, p).

    Each is a mean over its distributions, without the factor tau^2. Deviations: the release knows
    one-channel maps and 'row' only; the ground-truth term that it mixes in is not part of this loss
    (:class:`SaliencyBCELoss`).

    Args:
        tau_pos (float): Temperature of the positive term.
        tau_neg (float, optional): Temperature of the negative term; None leaves that term out.
        mode (str): 'row', 'position' or 'pixel'.
        level_weights (Sequence[float], optional): One weight a level where several are passed;
            HKDNet's are (4, 1, 1, 1), finest first. 1 each where absent.
        pos_weight, neg_weight (float): Multiply the terms.

    Raises:
        ConfigError: An unknown mode or a temperature that is not positive.

    Examples:
        >>> loss = PNLADLoss(mode='pixel')
        >>> same = torch.randn(2, 5, 8, 8)
        >>> bool(loss(same, same).abs() < 1e-6)
        True
    """

    def __init__(self, tau_pos: float = 4., tau_neg: float | None = 4., mode: str = 'row',
                 level_weights: Sequence[float] | None = None, pos_weight: float = 1.,
                 neg_weight: float = 1.) -> None:
        super().__init__()
        if mode not in MODES:
            raise ConfigError(f'PNLADLoss: mode={mode!r} is unknown; choose one of {MODES}')
        for key, tau in (('tau_pos', tau_pos), ('tau_neg', tau_neg)):
            if tau is not None and not tau > 0:
                raise ConfigError(f'PNLADLoss: {key}={tau} must be above 0'
                                  + (', or None for no negative term' if key == 'tau_neg' else ''))
        if tau_pos is None:
            raise ConfigError('PNLADLoss: tau_pos=None is no temperature; set pos_weight=0 to '
                              'leave the positive term out')
        self.tau_pos, self.tau_neg = tau_pos, tau_neg
        self.mode = mode
        self.level_weights = level_weights
        self.pos_weight, self.neg_weight = pos_weight, neg_weight

    def positive(self, student: Levels, teacher: Levels, tau: float | None = None) -> Tensor:
        """The positive term.

        Args:
            student (Tensor | Sequence[Tensor]): Logits (N, C, H, W), one map or one a level, any
                floating type; computed in float32.
            teacher (Tensor | Sequence[Tensor]): Of the same shapes; no gradient flows into it.
            tau (float, optional): In place of ``tau_pos``, as a schedule gives it.

        Returns:
            Tensor: Scalar, summed over the levels.

        Raises:
            ConfigError: Levels or shapes do not pair up.
        """
        tau = self.tau_pos if tau is None else tau
        return self.pos_weight * self._sum(
            lambda logits: self._two_class(logits, 0.) / tau, student, teacher)

    def negative(self, student: Levels, teacher: Levels, tau: float | None = None) -> Tensor:
        """The negative term; as :meth:`positive`, with ``tau_neg``. Zero where that is None."""
        tau = self.tau_neg if tau is None else tau
        if tau is None:
            return self._sum(torch.zeros_like, student, teacher)

        def complement(logits):
            p = probability(logits)
            return self._two_class(1 - p, p) / tau

        return self.neg_weight * self._sum(complement, student, teacher)

    def forward(self, student: Levels, teacher: Levels) -> Tensor:
        """Positive plus negative term at the configured temperatures; arguments as above."""
        return self.positive(student, teacher) + self.negative(student, teacher)

    def _two_class(self, first: Tensor, second: Tensor | float) -> Tensor:
        """Add the second class where mode 'pixel' meets a one-channel map."""
        if self.mode != 'pixel' or first.shape[1] != 1:
            return first
        if not isinstance(second, Tensor):
            second = torch.full_like(first, second)
        return torch.cat([first, second], 1)

    def _sum(self, scores, student: Levels, teacher: Levels) -> Tensor:
        total = 0.
        for weight, s, t in paired_levels('PNLADLoss', student, teacher, self.level_weights):
            total = total + weight * divergence(scores(s), scores(t), self.mode)
        return total

    def extra_repr(self) -> str:
        return f'mode={self.mode}, tau_pos={self.tau_pos}, tau_neg={self.tau_neg}'
