"""Reading FCOS heads."""
from typing import Any

import torch
from mmdet.utils import reduce_mean

from mmkd_sod.registry import HEAD_READERS

from .base import DensePredictions, DenseTargets, HeadReader


@HEAD_READERS.register_module(name='FCOSHead')
class FCOSReader(HeadReader):
    """FCOS: distances from points to box sides; every location counts alike.

    A teacher with ``norm_on_bbox`` gives its distances in pixels, not strides, in eval mode. Both
    sides come from the same forward, and IoU does not depend on the unit.
    """

    has_centerness = True

    def layout(self) -> dict[str, Any]:
        """As the base, and the unit of the distances."""
        return dict(super().layout(), norm_on_bbox=self.head.norm_on_bbox)

    def targets(self, records: dict[str, Any], predictions: DensePredictions) -> DenseTargets:
        """Weight 1 everywhere; the normaliser is the sum of the positives' centerness targets."""
        labels, boxes = (torch.cat(list(part)) for part in records['get_targets'])
        positive = (labels >= 0) & (labels < self.head.num_classes)
        centerness = self.head.centerness_target(boxes[positive])
        points = self.head.prior_generator.grid_priors(
            predictions.levels, dtype=predictions.reg.dtype, device=predictions.reg.device)
        images = len(labels) // sum(len(level) for level in points)
        return DenseTargets(
            label_weights=None,
            avg_factor=reduce_mean(centerness.sum()).clamp(min=1e-6),
            positive=positive,
            priors=torch.cat([level.repeat(images, 1) for level in points]))
