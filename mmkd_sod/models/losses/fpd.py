"""Feature distillation of fused features (HKDNet)."""
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .levels import Levels, paired_levels
from .pnlad import divergence


@MODELS.register_module()
class FPDLoss(nn.Module):
    """What each position of a fused feature holds, mean and mix (HKDNet, IEEE TSMC-S 2025).

    Student and teacher features are divided by the temperature. Per level: the mean squared error
    between their means over the channels, plus the KL of the student's softmax over the channels
    from the teacher's, mean over the positions. As released.

    Args:
        tau (float): Temperature.
        level_weights (Sequence[float], optional): One weight a level, finest first; HKDNet's are
            (4, 1, 1, 1). 1 each where absent.
        loss_weight (float): Multiplies the loss.

    Raises:
        ConfigError: A temperature that is not positive.
    """

    def __init__(self, tau: float = 1., level_weights: Sequence[float] | None = None,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if not tau > 0:
            raise ConfigError(f'FPDLoss: tau={tau} must be above 0')
        self.tau = tau
        self.level_weights = level_weights
        self.loss_weight = loss_weight

    def forward(self, student: Levels, teacher: Levels, tau: float | None = None) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor | Sequence[Tensor]): Features (N, C, H, W), one or one a level, any
                floating type; computed in float32.
            teacher (Tensor | Sequence[Tensor]): Of the same shapes; no gradient flows into it.
            tau (float, optional): In place of ``self.tau``, as a schedule gives it.

        Returns:
            Tensor: Scalar >= 0, summed over the levels.

        Raises:
            ConfigError: Levels or shapes do not pair up.
        """
        tau = self.tau if tau is None else tau
        total = 0.
        for weight, s, t in paired_levels('FPDLoss', student, teacher, self.level_weights):
            s, t = s / tau, t / tau
            mean = F.mse_loss(s.mean(1), t.mean(1))
            total = total + weight * (mean + divergence(s, t, 'pixel'))
        return self.loss_weight * total

    def extra_repr(self) -> str:
        return f'tau={self.tau}, loss_weight={self.loss_weight}'
