"""Reading FCOS heads."""
from typing import Any

import torch
from mmdet.utils import reduce_mean

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    HeadReader,
    Records,
    is_positive,
    prior_rows,
)


@HEAD_READERS.register_module(name=['FCOSHead', 'NASFCOSHead'])
class FCOSReader(HeadReader):
    """FCOS: distances from points to box sides; every location counts alike.

    A teacher with ``norm_on_bbox`` gives its distances in pixels, not strides, in eval mode. Both
    sides come from the same forward, and IoU does not depend on the unit. NAS-FCOS differs in the
    blocks of its towers alone.

    One deviation: without a positive on any rank the normaliser is 1. The released program divides
    by 1e-6 there, which makes such a batch outweigh a million others; COCO's recipes leave images
    without objects out and never meet it.
    """

    has_centerness = True
    compared = 'classes; boxes; every location counts; centerness at positives, if asked for'

    def layout(self) -> dict[str, Any]:
        """As the base, and the unit of the distances."""
        return dict(super().layout(), norm_on_bbox=self.head.norm_on_bbox)

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Weight 1 everywhere; the normaliser is the sum of the positives' centerness targets."""
        labels, boxes = (torch.cat(list(part)) for part in records['get_targets'][0])
        positive = is_positive(self.head, labels)
        total = reduce_mean(self.head.centerness_target(boxes[positive]).sum())
        return DenseTargets(
            label_weights=None,
            avg_factor=torch.where(total > 0, total.clamp(min=1e-6), 1.),
            positive=positive,
            priors=prior_rows(self.head.prior_generator, predictions))
