"""Reading anchor heads that regress boxes: RetinaNet and ATSS."""
from typing import Any

import torch
from mmdet.structures.bbox import get_box_tensor

from mmkd_sod.registry import HEAD_READERS

from .base import DensePredictions, DenseTargets, HeadReader
from .gfl import assigned_targets, is_positive


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


@HEAD_READERS.register_module(name='RetinaHead')
class RetinaReader(AnchorBoxReader):
    """RetinaNet: the assigner's ``avg_factor`` is used as the head's own loss uses it."""

    target_methods = ('get_anchors', 'get_targets')

    def targets(self, records: dict[str, Any], predictions: DensePredictions) -> DenseTargets:
        """The student's label weights, normaliser and anchors."""
        anchors, _ = records['get_anchors']
        labels, label_weights, _, _, avg_factor = records['get_targets']
        # Anchors are those of the padded batch, the same for every image.
        priors = [
            get_box_tensor(level).expand(len(weights), -1, -1).reshape(-1, 4)
            for level, weights in zip(anchors[0], label_weights, strict=True)
        ]
        return DenseTargets(
            label_weights=torch.cat([w.reshape(-1) for w in label_weights]),
            avg_factor=avg_factor,
            positive=is_positive(self.head, labels),
            priors=torch.cat(priors))


@HEAD_READERS.register_module(name='ATSSHead')
class ATSSReader(AnchorBoxReader):
    """ATSS: as RetinaNet, with one anchor a location and centerness."""

    has_centerness = True

    def targets(self, records: dict[str, Any], predictions: DensePredictions) -> DenseTargets:
        """The student's label weights, normaliser (averaged over ranks) and anchors."""
        return assigned_targets(self.head, records, predictions.cls.device)
