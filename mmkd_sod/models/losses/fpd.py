"""Distillation of fused features (FPD of HKDNet)."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .inputs import Levels, paired_maps
from .pnlad import divergence


@MODELS.register_module()
class FPDLoss(nn.Module):
    """Distillation of fused features, position by position (HKDNet, IEEE TSMC-S 2025).

    Student and teacher features are divided by the temperature. Per level: the mean squared error
    between their means over the channels, plus the KL divergence from teacher to student of the
    softmax over the channels, averaged over the positions. As in the released code.

    Args:
        tau (float): Temperature, above 0.
        level_weights (Sequence[float], optional): One weight per level, finest first; None means 1
            each. HKDNet uses (4, 1, 1, 1).
        loss_weight (float): Factor of the loss.

    Raises:
        ConfigError: The temperature is not positive.
    """

    def __init__(
        self,
        tau: float = 1.0,
        level_weights: Sequence[float] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if not tau > 0:
            raise ConfigError(f'FPDLoss: tau={tau} must be above 0; HKDNet uses 1 to 34')
        self.tau = tau
        self.level_weights = level_weights
        self.loss_weight = loss_weight

    def forward(self, student: Levels, teacher: Levels, tau: float | None = None) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor | Sequence[Tensor]): Features (N, C, H, W), one tensor or one per level,
                any floating type; computed in float32.
            teacher (Tensor | Sequence[Tensor]): Of the same shapes; detached.
            tau (float, optional): Overrides ``self.tau``, for schedules.

        Returns:
            Tensor: Scalar >= 0, summed over the levels.

        Raises:
            ConfigError: The numbers of levels and weights or the shapes differ.
        """
        tau = self.tau if tau is None else tau
        total: Any = 0.0
        for weight, s, t in paired_maps('FPDLoss', student, teacher, self.level_weights):
            s, t = s / tau, t / tau
            mean = F.mse_loss(s.mean(1), t.mean(1))
            total = total + weight * (mean + divergence(s, t, 'pixel'))
        return self.loss_weight * total

    def extra_repr(self) -> str:
        return f'tau={self.tau}, loss_weight={self.loss_weight}'
