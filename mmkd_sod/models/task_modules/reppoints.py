"""Reading RepPoints heads."""
from typing import Any

import torch
from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    DistanceReader,
    Records,
    flatten_levels,
    flatten_targets,
    is_positive,
    prior_rows,
    rank_mean,
)


@HEAD_READERS.register_module(name='RepPointsHead')
class RepPointsReader(DistanceReader):
    """RepPoints: classes and the boxes around the refined points.

    The head gives both sets of points while it trains and the boxes of the refined ones in eval
    mode, which is the teacher's: the boxes are compared, not the points. Weights and normaliser are
    those of the assignment to the first boxes ('refine'), as in the head's own classification loss.
    """

    compared = 'classes; boxes around the refined points'

    def layout(self) -> dict[str, Any]:
        """As the base, and how points become boxes."""
        return dict(super().layout(), transform_method=self.head.transform_method)

    def flatten(self, outputs) -> DensePredictions:
        """Rows of classes and boxes (relative to the point, in strides), of either mode."""
        cls_maps, last = outputs[0], outputs[-1]
        boxes = [self.head.points2bbox(level) for level in last] if len(outputs) == 3 else last
        return DensePredictions(
            cls=flatten_levels(cls_maps, self.head.cls_out_channels),
            reg=flatten_levels(boxes, 4),
            center=None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's label weights and normaliser of the refining stage."""
        labels, label_weights, *_, avg_factor = records['get_targets'][-1]
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=rank_mean(avg_factor, predictions.cls).clamp(min=1),
            positive=is_positive(self.head, flatten_targets(labels)),
            priors=prior_rows(self.head.prior_generator, predictions, with_stride=True))

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """(P, 4) boxes in pixels."""
        points, stride = targets.priors[:, :2], targets.priors[:, 2:3]
        return reg * stride + torch.cat([points, points], dim=1)
