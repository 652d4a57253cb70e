"""Reader of FCOS heads."""

from typing import Any

import torch
from mmdet.utils import reduce_mean

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    DistanceReader,
    HeadReader,
    Records,
    is_positive,
    prior_rows,
)


@HEAD_READERS.register_module(name=['FCOSHead', 'NASFCOSHead'])
class FCOSReader(HeadReader):
    """Reads FCOS heads: classes and distances from points to box sides; every location counts.

    With ``norm_on_bbox`` a teacher in eval mode predicts distances in pixels instead of strides.
    Both compared predictions come from the teacher's head, and IoU does not depend on the unit.
    NAS-FCOS differs in the blocks of its towers only.

    Deviation: without any positive on all ranks the normaliser is 1. The released code of CrossKD
    divides by 1e-6 there, so that such a batch outweighs a million others; the COCO recipes skip
    images without objects.

    Args:
        head (nn.Module): The head.
    """

    has_centerness = True
    center_by_default = False
    cls_weight = 0.4
    box_loss = dict(type='mmdet.IoULoss', loss_weight=0.75)
    compared = 'classes; boxes; every location counts; centerness at positives, if asked for'

    @property
    def default_idx(self) -> int:
        """Blocks before the split by default: half of them, as in the paper."""
        return self.depth // 2

    def layout(self) -> dict[str, Any]:
        """Return the settings of the base class and the unit of the distances."""
        return dict(super().layout(), norm_on_bbox=self.head.norm_on_bbox)

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weight 1 everywhere and the sum of the positives' centerness targets."""
        labels, boxes = (torch.cat(list(part)) for part in records['get_targets'][0][:2])
        positive = is_positive(self.head, labels)
        # The head's centerness_target without selecting rows, for which the host would wait.
        left, top, right, bottom = boxes.unbind(1)
        inner = torch.minimum(left, right) * torch.minimum(top, bottom)
        outer = torch.maximum(left, right) * torch.maximum(top, bottom)
        total = reduce_mean(torch.where(positive, inner / outer, 0).sqrt().sum())
        return DenseTargets(
            label_weights=None,
            avg_factor=torch.where(total > 0, total.clamp(min=1e-6), 1.0),
            positive=positive,
            priors=prior_rows(self.head.prior_generator, predictions),
        )


@HEAD_READERS.register_module(name=['CondInstBboxHead', 'BoxInstBboxHead'])
class CondInstReader(FCOSReader):
    """Reads the box heads of CondInst and BoxInst: as FCOS.

    The head also predicts the filters of masks. Filters of two networks apply to different mask
    features and are not compared; masks are left to the student's own loss. Distances can be 0:
    boxes of the teacher without area have weight 0.

    Args:
        head (nn.Module): The head.
    """

    compared = 'as FCOSHead; not the filters of masks'
    kind = 'dense with masks'
    box_weight = DistanceReader.box_weight
