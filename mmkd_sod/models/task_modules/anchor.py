"""Reading heads that regress boxes from anchors: RetinaNet, ATSS and their kin."""
from typing import Any

import torch
from mmdet.structures.bbox import get_box_tensor
from mmdet.utils import reduce_mean

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
    """Heads whose regression is decoded by a box coder on anchors."""

    def layout(self) -> dict[str, Any]:
        """As the base, and how boxes are coded on which anchors."""
        coder = self.head.bbox_coder
        return dict(
            super().layout(),
            **{'box coder': type(coder).__name__},
            means=tuple(getattr(coder, 'means', ())),
            stds=tuple(getattr(coder, 'stds', ())),
            anchors=[a.round().tolist() for a in self.head.prior_generator.base_anchors])

    def priors(self, predictions: DensePredictions) -> torch.Tensor:
        """(P, 4) anchors."""
        return prior_rows(self.head.prior_generator, predictions)


@HEAD_READERS.register_module(name=['RetinaHead', 'RetinaSepBNHead', 'PISARetinaHead'])
class RetinaReader(AnchorBoxReader):
    """RetinaNet: the normaliser is the assigner's ``avg_factor``, averaged over ranks.

    The head's own loss, and the released program, divide by that of each rank.

    Retina-SepBN has towers of its own for every level. PISA re-weighs its positives by their rank
    within the object; that is a part of its own loss, not of the assignment read here.
    """

    family = 'RetinaNet'
    target_methods = ('get_anchors', 'get_targets')
    compared = 'classes; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's label weights, normaliser and anchors."""
        anchors, _ = records['get_anchors'][0]
        labels, label_weights, _, _, avg_factor, *_ = records['get_targets'][0]
        # Anchors are those of the padded batch, the same for every image.
        priors = [
            get_box_tensor(level).expand(len(weights), -1, -1).reshape(-1, 4)
            for level, weights in zip(anchors[0], label_weights, strict=True)
        ]
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=rank_mean(avg_factor, predictions.cls),
            positive=is_positive(self.head, flatten_targets(labels)),
            priors=torch.cat(priors))


@HEAD_READERS.register_module(name='ATSSHead')
class ATSSReader(AnchorBoxReader):
    """ATSS: as RetinaNet, with one anchor a location and centerness."""

    has_centerness = True
    compared = 'classes; boxes; centerness at positives'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's label weights, normaliser (averaged over ranks) and anchors."""
        return assigned_targets(self.head, records, predictions.cls.device)


@HEAD_READERS.register_module(name='DDODHead')
class DDODReader(AnchorBoxReader):
    """DDOD: classes by the assignment of its class branch, boxes and IoU by that of its box branch.

    The factors by which DDOD weighs the levels of its own loss are left out: they make up for the
    few positives of a level, and the teacher's answers exist everywhere. Which normaliser goes
    where follows the head's own loss; leaving the factors out is this project's choice.
    """

    has_centerness = True
    target_methods = ('get_cls_targets', 'get_reg_targets')
    compared = 'classes and boxes, each by its own assignment; IoU branch at positives'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Weights of the class branch; positives of the box branch; a normaliser each."""
        anchors, _, label_weights, _, _, avg_factor = records['get_cls_targets'][0]
        _, labels, _, _, _, box_avg_factor = records['get_reg_targets'][0]
        factors = reduce_mean(torch.tensor(
            [avg_factor, box_avg_factor], dtype=torch.float, device=predictions.cls.device))
        avg_factor, box_avg_factor = factors.clamp(min=1)
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=avg_factor,
            positive=is_positive(self.head, flatten_targets(labels)),
            priors=torch.cat([a.reshape(-1, 4) for a in anchors]),
            box_avg_factor=box_avg_factor)
