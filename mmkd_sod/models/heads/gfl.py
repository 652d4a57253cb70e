"""Reading GFL heads."""
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from mmkd_sod.registry import HEAD_READERS

from .base import DensePredictions, DenseTargets, HeadReader


def is_positive(head: nn.Module, labels: Sequence[Tensor]) -> Tensor:
    """(P, ) bool: which anchors carry an object's class."""
    labels = torch.cat([level.reshape(-1) for level in labels])
    return (labels >= 0) & (labels < head.num_classes)


def assigned_targets(head: nn.Module, records: dict[str, Any],
                     device: torch.device) -> DenseTargets:
    """Targets of heads whose ``get_targets`` starts with the anchors (GFL, ATSS and their kin)."""
    anchors, labels, label_weights, *_, avg_factor = records['get_targets']
    avg_factor = reduce_mean(torch.tensor(avg_factor, dtype=torch.float, device=device))
    return DenseTargets(
        label_weights=torch.cat([w.reshape(-1) for w in label_weights]),
        avg_factor=avg_factor,
        positive=is_positive(head, labels),
        priors=torch.cat([a.reshape(-1, a.shape[-1]) for a in anchors]))


@HEAD_READERS.register_module(name='GFLHead')
class GFLReader(HeadReader):
    """GFL: classes and distributions over the four box sides, ``reg_max + 1`` bins each."""

    reg_kind = 'bins'

    @property
    def reg_channels(self) -> int:
        """Bins of the four sides of an anchor."""
        return 4 * (self.head.reg_max + 1)

    def layout(self) -> dict[str, Any]:
        """As the base, and the bins."""
        return dict(super().layout(), reg_max=self.head.reg_max)

    def targets(self, records: dict[str, Any], predictions: DensePredictions) -> DenseTargets:
        """The student's label weights; the assigner's count of positives, averaged over ranks."""
        return assigned_targets(self.head, records, predictions.cls.device)

    def reg_loss(self, loss: nn.Module, student: DensePredictions, teacher: DensePredictions,
                 weight: Tensor, targets: DenseTargets) -> Tensor:
        """KL between the bins of each side, divided by 4 and by the sum of the weights."""
        bins = self.head.reg_max + 1
        total = reduce_mean(weight.sum()).clamp(min=torch.finfo(torch.float32).tiny)
        return loss(
            student.reg.reshape(-1, bins),
            teacher.reg.reshape(-1, bins),
            weight=weight.repeat_interleave(4),
            avg_factor=4.0 * total)
