"""Binary cross-entropy of several saliency maps against one mask (HKDNet)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .inputs import Levels, as_levels, weights_of_levels


@MODELS.register_module()
class SaliencyBCELoss(nn.Module):
    """Weighted sum over levels of the mean binary cross-entropy with logits (HKDNet).

    The mean is over the valid positions of all ranks, so that the mean of the ranks' losses is the
    loss of the whole batch.

    Args:
        level_weights (Sequence[float], optional): One weight per level, finest first; None means 1
            each. HKDNet uses (4, 1, 1, 1) in its first stage, then (4, 1, 0, 0).
        loss_weight (float): Factor of the loss.
        loss_name (str): Name in mmseg's log.
    """

    def __init__(
        self,
        level_weights: Sequence[float] | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_bce',
    ) -> None:
        super().__init__()
        self.level_weights = level_weights
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        logits: Levels,
        target: Tensor,
        ignore_index: int | None = 255,
        level_weights: Sequence[float] | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits (Tensor | Sequence[Tensor]): (N, 1, H, W), one tensor or one per level, any
                floating type; computed in float32.
            target (Tensor): (N, 1, H, W) or (N, H, W): integers 0, 1 and ``ignore_index``, or
                floating in [0, 1].
            ignore_index (int, optional): Value of integer targets to ignore.
            level_weights (Sequence[float], optional): Overrides ``self.level_weights``, for
                schedules.

        Returns:
            Tensor: Scalar >= 0; 0 if every position is ignored.

        Raises:
            ConfigError: The numbers of levels and weights or the shapes differ.
        """
        levels = as_levels(logits)
        weights = weights_of_levels(
            'SaliencyBCELoss',
            len(levels),
            self.level_weights if level_weights is None else level_weights,
        )
        if target.dim() == 3:
            target = target.unsqueeze(1)
        valid = None
        if not target.is_floating_point() and ignore_index is not None:
            valid = (target != ignore_index).float()
            target = target * valid
            count = valid.sum()
            all_reduce(count, 'mean')
            count = torch.where(count > 0, count, 1.0)
        target = target.float()
        total: Any = 0.0
        for level, (weight, logit) in enumerate(zip(weights, levels, strict=True)):
            if logit.shape != target.shape:
                raise ConfigError(
                    f'SaliencyBCELoss: level {level} has logits {tuple(logit.shape)} and target '
                    f'{tuple(target.shape)}; both must have one shape (N, 1, H, W); resize the '
                    'logits to the target'
                )
            if not weight:
                # An empty sum: DistributedDataParallel needs a gradient for every layer.
                total = total + logit.flatten()[:0].sum()
                continue
            if valid is None:
                loss = F.binary_cross_entropy_with_logits(logit.float(), target)
            else:
                loss = (
                    F.binary_cross_entropy_with_logits(
                        logit.float(), target, weight=valid, reduction='sum'
                    )
                    / count
                )
            total = total + weight * loss
        return self.loss_weight * total
