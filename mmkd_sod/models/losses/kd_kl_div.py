"""Kullback-Leibler divergence between two sets of distributions."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.registry import MODELS


@MODELS.register_module()
class KDKLDivLoss(nn.Module):
    r"""KL of the teacher's distribution to the student's, over the last axis.

    .. math:: \frac{\tau^2}{\mathrm{avg\_factor}} \sum_i w_i \sum_c
        q_{ic} \log \frac{q_{ic}}{p_{ic}}, \quad p = \mathrm{softmax}(s / \tau),
        q = \mathrm{softmax}(t / \tau)

    Source: CrossKD (arXiv 2306.11369), regression term of GFL, where the last axis holds the bins
    of one box side; localisation distillation (arXiv 2102.12252). Summed over the bins, not
    averaged. Computed in float32. Zero where student and teacher agree.

    Args:
        tau (float): Temperature, above 0. Default: 1.
        loss_weight (float): Factor of the loss. Default: 1.
    """

    def __init__(self, tau: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if tau <= 0:
            raise ValueError(f'KDKLDivLoss: tau={tau}; give a temperature above 0')
        self.tau = tau
        self.loss_weight = loss_weight

    def forward(self,
                student: Tensor,
                teacher: Tensor,
                weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor): Logits (P, K) of P distributions over K bins.
            teacher (Tensor): Logits of the same shape; detached here.
            weight (Tensor, optional): (P, ), one weight a distribution.
            avg_factor (float | Tensor, optional): What the sum is divided by; default: P.

        Returns:
            Tensor: Scalar.

        Raises:
            ValueError: The shapes differ, or are those of maps.
        """
        if student.shape != teacher.shape or student.dim() != 2:
            raise ValueError(f'KDKLDivLoss: student logits {tuple(student.shape)} and teacher '
                             f'logits {tuple(teacher.shape)} must have one shape (P, K); DenseRows '
                             'makes rows of maps')
        log_p = F.log_softmax(student.float() / self.tau, dim=-1)
        log_q = F.log_softmax(teacher.detach().float() / self.tau, dim=-1)
        loss = F.kl_div(log_p, log_q, reduction='none', log_target=True).sum(-1)
        if weight is not None:
            loss = loss * weight.float()
        total = loss.sum() * self.tau**2
        return self.loss_weight * total / (len(student) if avg_factor is None else avg_factor)

    def extra_repr(self) -> str:
        """Arguments in the module's printed form."""
        return f'tau={self.tau}, loss_weight={self.loss_weight}'
