"""Reader of RepPoints heads."""

from typing import Any, cast

import torch
from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    DistanceReader,
    Records,
    flatten_targets,
    is_positive,
    prior_rows,
    rank_mean,
)


@HEAD_READERS.register_module(name='RepPointsHead')
class RepPointsReader(DistanceReader):
    """Reads RepPoints heads: classes and the boxes around the refined points.

    The head returns both sets of points in training mode but the boxes of the refined points in
    eval mode, the teacher's mode: boxes are compared, not points. Weights and normaliser are those
    of the assignment to the first boxes ('refine'), as in the head's own classification loss.

    Args:
        head (nn.Module): The head.
    """

    compared = 'classes; boxes around the refined points'

    def layout(self) -> dict[str, Any]:
        """Return the settings of the base class and how points become boxes."""
        return dict(super().layout(), transform_method=self.head.transform_method)

    def flatten(self, outputs) -> DensePredictions:
        """Return rows of classes and boxes (relative to the point, in strides) of either mode."""
        cls_maps, last = outputs[0], outputs[-1]
        return self.rows(
            cls_maps,
            [self.head.points2bbox(level) for level in last] if len(outputs) == 3 else last,
        )

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's label weights and normaliser of the refining stage."""
        labels, label_weights, *_, avg_factor = records['get_targets'][-1]
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=rank_mean(avg_factor, predictions.cls).clamp(min=1),
            positive=is_positive(self.head, flatten_targets(labels)),
            priors=prior_rows(self.head.prior_generator, predictions, with_stride=True),
        )

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Return (P, 4) boxes in pixels."""
        priors = cast(Tensor, targets.priors)
        points, stride = priors[:, :2], priors[:, 2:3]
        return reg * stride + torch.cat([points, points], dim=1)
