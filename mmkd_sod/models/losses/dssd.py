"""Distillation of the similarities within a batch (HKDNet)."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.gather import gather_batch

from .levels import Levels, as_levels, weights_of_levels


def batch_similarity(feat: Tensor) -> Tensor:
    """Gram matrix of a batch's flattened features, rows of unit length.

    Args:
        feat (Tensor): (N, ...), any floating type.

    Returns:
        Tensor: (N, N) in float32. N = 1 gives the 1 x 1 matrix (1).
    """
    # Autocast would run this product in half precision.
    with torch.autocast(feat.device.type, enabled=False):
        feat = feat.float().flatten(1)
        return F.normalize(feat @ feat.t(), dim=1)


@MODELS.register_module()
class DSSDLoss(nn.Module):
    """Mean squared error between batch similarities (HKDNet, IEEE TSMC-S 2025).

    Channels and size of student and teacher may differ; the batch may not. A batch of one image
    has nothing to compare and gives 0. The release divides features by a temperature (4 for the
    encoders, the schedule's t for the decoders) first; unit rows cancel any such factor, so there
    is no temperature here.

    Args:
        level_weights (Sequence[float], optional): One weight a level. 1 each where absent.
        loss_weight (float): Multiplies the loss.
        gather (bool): Compare the images of all ranks, with their gradients, instead of those of
            this rank alone; all ranks must hold equal shapes. Leave it out where a rank's batch is
            a group of its own, as HKDNet's are. See :func:`~mmkd_sod.utils.gather.gather_batch`.
    """

    def __init__(self, level_weights: Sequence[float] | None = None,
                 loss_weight: float = 1., gather: bool = False) -> None:
        super().__init__()
        self.level_weights = level_weights
        self.loss_weight = loss_weight
        self.gather = gather

    def forward(self, student: Levels, teacher: Levels) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor | Sequence[Tensor]): Features (N, ...), one or one a level.
            teacher (Tensor | Sequence[Tensor]): As many; no gradient flows into them.

        Returns:
            Tensor: Scalar >= 0, summed over the levels.

        Raises:
            ConfigError: Levels or batches do not pair up.
        """
        student, teacher = as_levels(student), as_levels(teacher)
        if len(student) != len(teacher) or not student:
            raise ConfigError(f'DSSDLoss compares features in pairs, got {len(student)} of the '
                              f'student and {len(teacher)} of the teacher; pass as many of each')
        weights = weights_of_levels('DSSDLoss', len(student), self.level_weights)
        total = 0.
        for weight, s, t in zip(weights, student, teacher, strict=True):
            if s.shape[0] != t.shape[0]:
                raise ConfigError(f'DSSDLoss needs one batch for both, got {s.shape[0]} images of '
                                  f'the student and {t.shape[0]} of the teacher; feed both alike')
            t = t.detach()
            if self.gather:
                s, t = gather_batch(s), gather_batch(t)
            total = total + weight * F.mse_loss(batch_similarity(s), batch_similarity(t))
        return self.loss_weight * total

    def extra_repr(self) -> str:
        return f'loss_weight={self.loss_weight}'
