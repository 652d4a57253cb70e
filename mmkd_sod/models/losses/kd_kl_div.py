"""Kullback-Leibler divergence between the distributions of teacher and student."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .inputs import check_rows


@MODELS.register_module()
class KDKLDivLoss(nn.Module):
    r"""KL divergence from the teacher's to the student's distribution over the last axis.

    .. math:: \frac{\tau^2}{\mathrm{avg\_factor}} \sum_i w_i \sum_c
        q_{ic} \log \frac{q_{ic}}{p_{ic}}, \quad p = \mathrm{softmax}(s / \tau),
        q = \mathrm{softmax}(t / \tau)

    Source: CrossKD (arXiv 2306.11369), regression term of GFL, where the last axis holds the bins
    of one box side; localisation distillation (arXiv 2102.12252). Summed over the bins, not
    averaged. Computed in float32. Zero where student and teacher agree.

    Args:
        tau (float): Temperature, above 0.
        loss_weight (float): Factor of the loss.

    Raises:
        ConfigError: The temperature is not positive.
    """

    def __init__(self, tau: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not tau > 0:
            raise ConfigError(f'KDKLDivLoss: tau={tau} must be above 0; CrossKD uses 1')
        self.tau = tau
        self.loss_weight = loss_weight

    def forward(
        self,
        student: Tensor,
        teacher: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor): Logits (P, K) of P distributions over K bins.
            teacher (Tensor): Logits of the same shape; detached.
            weight (Tensor, optional): (P, ), one weight per distribution.
            avg_factor (float | Tensor, optional): Divides the sum; default: P.

        Returns:
            Tensor: Scalar >= 0.

        Raises:
            ConfigError: The shapes differ or are not (P, K).
        """
        check_rows('KDKLDivLoss', student, teacher)
        log_p = F.log_softmax(student.float() / self.tau, dim=-1)
        log_q = F.log_softmax(teacher.detach().float() / self.tau, dim=-1)
        loss = F.kl_div(log_p, log_q, reduction='none', log_target=True).sum(-1)
        if weight is not None:
            loss = loss * weight.float()
        total = loss.sum() * self.tau**2
        return self.loss_weight * total / (len(student) if avg_factor is None else avg_factor)

    def extra_repr(self) -> str:
        """Return the arguments that ``repr`` shows."""
        return f'tau={self.tau}, loss_weight={self.loss_weight}'
