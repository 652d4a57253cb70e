"""Readers of heads that regress boxes from anchors: RetinaNet, ATSS, DDOD."""

from typing import Any

import torch
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, LegacyDeltaXYWHBBoxCoder
from mmdet.structures.bbox import get_box_tensor

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    HeadReader,
    Records,
    flatten_targets,
    is_positive,
    prior_rows,
    rank_mean,
)
from .gfl import assigned_targets


class AnchorBoxReader(HeadReader):
    """Reads heads whose regression is decoded by a box coder on anchors.

    Args:
        head (nn.Module): The head.
    """

    def layout(self) -> dict[str, Any]:
        """Return the settings of the base class, the box coding and the anchors."""
        coder = self.head.bbox_coder
        scaled = isinstance(coder, (DeltaXYWHBBoxCoder, LegacyDeltaXYWHBBoxCoder))
        return dict(
            super().layout(),
            **{'box coder': type(coder).__name__},
            means=tuple(coder.means) if scaled else (),
            stds=tuple(coder.stds) if scaled else (),
            anchors=[a.round().tolist() for a in self.head.prior_generator.base_anchors],
        )

    def priors(self, predictions: DensePredictions) -> torch.Tensor:
        """Return the (P, 4) anchors of the rows."""
        return prior_rows(self.head.prior_generator, predictions)


@HEAD_READERS.register_module(name=['RetinaHead', 'RetinaSepBNHead', 'PISARetinaHead'])
class RetinaReader(AnchorBoxReader):
    """Reads RetinaNet heads: classes and boxes on anchors.

    The normaliser is the assigner's ``avg_factor``, averaged over ranks; the head's own loss and
    the released code of CrossKD use that of each rank. Retina-SepBN has separate towers per level.
    PISA re-weights its positives in its own loss, which does not affect the assignment read here.

    Args:
        head (nn.Module): The head.
    """

    family = 'RetinaNet'
    target_methods = ('get_anchors', 'get_targets')
    compared = 'classes; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's label weights, normaliser and anchors."""
        anchors, _ = records['get_anchors'][0]
        labels, label_weights, _, _, avg_factor, *_ = records['get_targets'][0]
        # All images of a padded batch have the same anchors.
        priors = [
            get_box_tensor(level).expand(len(weights), -1, -1).reshape(-1, 4)
            for level, weights in zip(anchors[0], label_weights, strict=True)
        ]
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=rank_mean(avg_factor, predictions.cls),
            positive=is_positive(self.head, flatten_targets(labels)),
            priors=torch.cat(priors),
        )


@HEAD_READERS.register_module(name='ATSSHead')
class ATSSReader(AnchorBoxReader):
    """Reads ATSS heads: classes, boxes on one anchor per location, centerness.

    Args:
        head (nn.Module): The head.
    """

    has_centerness = True
    compared = 'classes; boxes; centerness at positives'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's label weights, normaliser (averaged over ranks) and anchors."""
        return assigned_targets(self.head, records)


@HEAD_READERS.register_module(name='DDODHead')
class DDODReader(AnchorBoxReader):
    """Reads DDOD heads, whose class branch and box branch have separate assignments.

    Classes use the assignment of the class branch, boxes and IoU that of the box branch, each with
    its own normaliser as in the head's loss. The factors per level of that loss are omitted, a
    choice of this project: they compensate for levels with few positives, while the teacher has
    predictions everywhere.

    Args:
        head (nn.Module): The head.
    """

    has_centerness = True
    target_methods = ('get_cls_targets', 'get_reg_targets')
    compared = 'classes and boxes, each by its own assignment; IoU branch at positives'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weights of the class branch, positives of the box branch and both normalisers."""
        anchors, _, label_weights, _, _, avg_factor = records['get_cls_targets'][0]
        _, labels, _, _, _, box_avg_factor = records['get_reg_targets'][0]
        avg_factor, box_avg_factor = rank_mean([avg_factor, box_avg_factor], predictions.cls).clamp(
            min=1
        )
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=avg_factor,
            positive=is_positive(self.head, flatten_targets(labels)),
            priors=torch.cat([a.reshape(-1, 4) for a in anchors]),
            box_avg_factor=box_avg_factor,
        )
