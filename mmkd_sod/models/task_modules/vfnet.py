"""Reading VFNet heads."""
from mmdet.utils import reduce_mean

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    PointReader,
    Records,
    flatten_levels,
    flatten_targets,
    is_positive,
)


@HEAD_READERS.register_module(name='VFNetHead')
class VFNetReader(PointReader):
    """VFNet: classes that tell of IoU, and the refined boxes.

    The head gives first and refined boxes while it trains and the refined ones alone in eval mode,
    which is the teacher's: the refined ones are compared. The first boxes still shape the answer,
    since they place the deformable convolutions of both branches, and gradient flows that way too.
    The normaliser is the count of positives, averaged over ranks, as in the head's own loss.
    """

    compared = 'classes; refined boxes'

    def flatten(self, outputs) -> DensePredictions:
        """Rows of classes and refined boxes, from the outputs of either mode."""
        cls_maps, refined = outputs[0], outputs[-1]
        return DensePredictions(
            cls=flatten_levels(cls_maps, self.head.cls_out_channels),
            reg=flatten_levels(refined, 4),
            center=None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's label weights (ATSS targets) or 1 everywhere (FCOS targets)."""
        labels, label_weights, _, _ = records['get_targets'][0]
        positive = is_positive(self.head, flatten_targets(labels))
        count = positive.sum().float()
        if self.head.sync_num_pos:
            count = reduce_mean(count)
        return DenseTargets(
            label_weights=label_weights,
            avg_factor=count.clamp(min=1),
            positive=positive,
            priors=self.priors(predictions))
