"""Distillation of the similarities within a batch (DSSD of HKDNet)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.gather import gather_batches

from .inputs import Levels, pair_levels


def batch_similarity(feat: Tensor) -> Tensor:
    """Return the Gram matrix of the flattened features of a batch, rows scaled to unit length.

    Args:
        feat (Tensor): (N, ...), any floating type.

    Returns:
        Tensor: (N, N) in float32; all ones for N = 1.
    """
    # Autocast would run this product in half precision, where it can overflow.
    with torch.autocast(feat.device.type, enabled=False):
        feat = feat.float().flatten(1)
        return F.normalize(feat @ feat.t(), dim=1)


@MODELS.register_module()
class DSSDLoss(nn.Module):
    """Mean squared error between batch similarities (HKDNet, IEEE TSMC-S 2025).

    Channels, height and width of student and teacher may differ. The loss of a single image is 0.
    The released code first divides features by a temperature; the scaling of the rows cancels any
    such factor, so this loss has none.

    Args:
        level_weights (Sequence[float], optional): One weight per level; None means 1 each.
        loss_weight (float): Factor of the loss.
        gather (bool): Compare the images of all ranks, with gradients, instead of those of this
            rank; shapes must be equal on all ranks. Not for batches that are one group each, as in
            HKDNet. See ``mmkd_sod.utils.gather.gather_batches``.
    """

    def __init__(
        self,
        level_weights: Sequence[float] | None = None,
        loss_weight: float = 1.0,
        gather: bool = False,
    ) -> None:
        super().__init__()
        self.level_weights = level_weights
        self.loss_weight = loss_weight
        self.gather = gather

    def forward(self, student: Levels, teacher: Levels) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor | Sequence[Tensor]): Features (N, ...), one tensor or one per level.
            teacher (Tensor | Sequence[Tensor]): As many; detached.

        Returns:
            Tensor: Scalar >= 0, summed over the levels.

        Raises:
            ConfigError: The numbers of levels, weights or images differ.
        """
        total: Any = 0.0
        levels = pair_levels('DSSDLoss', student, teacher, self.level_weights)
        for _, s, t in levels:
            if s.shape[0] != t.shape[0]:
                raise ConfigError(
                    f'DSSDLoss: got {s.shape[0]} student and {t.shape[0]} teacher images; it needs '
                    'features of the same images; pass both networks the same batch'
                )
        if self.gather:
            weights, *feats = zip(*levels, strict=True)
            found = gather_batches(*feats[0], *feats[1])
            half = len(levels)
            levels = list(zip(weights, found[:half], found[half:], strict=True))
        for weight, s, t in levels:
            total = total + weight * F.mse_loss(batch_similarity(s), batch_similarity(t))
        return self.loss_weight * total

    def extra_repr(self) -> str:
        return f'loss_weight={self.loss_weight}'
