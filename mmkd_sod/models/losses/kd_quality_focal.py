"""Quality focal loss between student and teacher logits."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.registry import MODELS

from .inputs import check_rows


@MODELS.register_module()
class KDQualityFocalLoss(nn.Module):
    r"""Classification loss of CrossKD: BCE with the teacher's scores, focused on disagreement.

    .. math:: \frac{w}{\mathrm{avg\_factor}}
        \sum \mathrm{BCE}(p, \sigma(t))\,|\sigma(p) - \sigma(t)|^\beta

    Source: CrossKD (arXiv 2306.11369), classification term; the form is that of quality focal loss
    (arXiv 2006.04388, Eq. 5) with the teacher's score as the quality. Computed in float32. Zero
    where student and teacher agree.

    Args:
        beta (float): Exponent of the focusing factor, at least 0.
        loss_weight (float): Factor of the loss.
    """

    def __init__(self, beta: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.beta = beta
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
            student (Tensor): Logits (P, C) of P anchors.
            teacher (Tensor): Logits of the same shape; detached.
            weight (Tensor, optional): (P, ), one weight per anchor, or (P, C), one per anchor and
                class.
            avg_factor (float | Tensor, optional): Divides the sum; default: P.

        Returns:
            Tensor: Scalar >= 0.

        Raises:
            ConfigError: The shapes differ or are not (P, C).
        """
        check_rows('KDQualityFocalLoss', student, teacher)
        student, teacher = student.float(), teacher.detach().float()
        target = teacher.sigmoid()
        loss = F.binary_cross_entropy_with_logits(student, target, reduction='none')
        gap = (student.sigmoid() - target).abs()
        # The gradient of |x|^beta at 0 is infinite for beta < 1; pow is slow for the usual beta 1.
        loss = loss * (gap if self.beta == 1 else gap.clamp(min=1e-12).pow(self.beta))
        if weight is not None:
            weight = weight.float()
            loss = loss * (weight if weight.dim() == 2 else weight.unsqueeze(-1))
        total = loss.sum()
        return self.loss_weight * total / (len(student) if avg_factor is None else avg_factor)

    def extra_repr(self) -> str:
        """Return the arguments that ``repr`` shows."""
        return f'beta={self.beta}, loss_weight={self.loss_weight}'
