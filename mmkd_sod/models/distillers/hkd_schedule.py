"""Stages and temperatures of HKDNet's distillation, by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmkd_sod.errors import ConfigError


@dataclass(frozen=True)
class HKDStage:
    """The settings of one epoch of ``HKDSchedule``.

    Attributes:
        index (int): 0, 1 or 2.
        tau_pos (float): Temperature of the positive logits term.
        tau_neg (float | None): Temperature of the negative logits term; None: the term is off.
        tau_feat (float): Temperature of the fused features.
        gt_weights (tuple | None): Weights of the maps in the ground-truth term, finest first; None
            keeps the student's own.
        decoder_similarity (bool): Whether the batch similarities of the decoders are compared.
    """

    index: int
    tau_pos: float
    tau_neg: float | None
    tau_feat: float
    gt_weights: tuple | None
    decoder_similarity: bool


class HKDSchedule:
    """The three stages of HKDNet (IEEE TSMC-S 2025), a pure function of the epoch.

    With e the epoch, counted from 0, and t = max(1, 34 - 3 e):

    ===========  =======  =======  ========  ============  ===================
    epochs       tau_pos  tau_neg  tau_feat  gt_weights    decoder similarity
    ===========  =======  =======  ========  ============  ===================
    e <= 30      4        t        t         (4, 1, 1, 1)  yes
    e <= 60      1        4        1         (4, 1, 0, 0)  no
    after        t        none     t         (4, 1, 0, 0)  no
    ===========  =======  =======  ========  ============  ===================

    Args:
        stage_ends (Sequence[int]): Last epochs of the first and of the second stage.
        tau_start (float): t at epoch 0.
        tau_step (float): Decrease of t per epoch, until it is 1.
        tau_soft (float): The value 4 of the table.
        gt_weights (Sequence, optional): Weights in the first stage and afterwards; None keeps the
            student's own.

    Raises:
        ConfigError: Ends out of order, or a temperature below 1.

    Examples:
        >>> schedule = HKDSchedule()
        >>> [schedule.temperature(e) for e in (0, 5, 10, 11, 90)]
        [34, 19, 4, 1, 1]
        >>> schedule(31).tau_neg, schedule(61).tau_neg
        (4, None)
    """

    def __init__(
        self,
        stage_ends: Sequence[int] = (30, 60),
        tau_start: float = 34,
        tau_step: float = 3,
        tau_soft: float = 4,
        gt_weights: Sequence | None = ((4, 1, 1, 1), (4, 1, 0, 0)),
    ) -> None:
        if len(stage_ends) != 2 or stage_ends[0] > stage_ends[1]:
            raise ConfigError(
                f'HKDSchedule: stage_ends={tuple(stage_ends)} must be the last epochs'
                ' of the first and of the second stage, in that order'
            )
        if tau_start < 1 or tau_step < 0 or tau_soft < 1:
            raise ConfigError(
                f'HKDSchedule: got tau_start={tau_start}, tau_step={tau_step}, '
                f'tau_soft={tau_soft}; temperatures must be at least 1 and tau_step '
                'at least 0'
            )
        if gt_weights is None:
            gt_weights = (None, None)
        if len(gt_weights) != 2:
            raise ConfigError(
                f'HKDSchedule: gt_weights has {len(gt_weights)} entries; give two, '
                'the weights of the first stage and those of the later ones'
            )
        self.stage_ends = tuple(stage_ends)
        self.tau_start, self.tau_step, self.tau_soft = tau_start, tau_step, tau_soft
        self.gt_weights = tuple(
            None if weights is None else tuple(weights) for weights in gt_weights
        )

    def temperature(self, epoch: int) -> float:
        """Return t = max(1, tau_start - tau_step * epoch)."""
        return max(1, self.tau_start - self.tau_step * epoch)

    def __call__(self, epoch: int) -> HKDStage:
        """Return the stage of an epoch, counted from 0."""
        t = self.temperature(epoch)
        first, later = self.gt_weights
        if epoch <= self.stage_ends[0]:
            return HKDStage(0, self.tau_soft, t, t, first, True)
        if epoch <= self.stage_ends[1]:
            return HKDStage(1, 1, self.tau_soft, 1, later, False)
        return HKDStage(2, t, None, t, later, False)
