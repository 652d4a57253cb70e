"""Reader of VFNet heads."""

from mmdet.utils import reduce_mean

from mmkd_sod.registry import HEAD_READERS

from .base import DensePredictions, DenseTargets, PointReader, Records, flatten_targets, is_positive


@HEAD_READERS.register_module(name='VFNetHead')
class VFNetReader(PointReader):
    """Reads VFNet heads: IoU-aware class scores and refined boxes.

    The head returns first and refined boxes in training mode but refined boxes only in eval mode,
    the teacher's mode: the refined ones are compared. The first boxes place the deformable
    convolutions of both branches, so that they also receive gradients. The normaliser is the number
    of positives, averaged over ranks, as in the head's own loss.

    Args:
        head (nn.Module): The head.
    """

    compared = 'classes; refined boxes'

    def flatten(self, outputs) -> DensePredictions:
        """Return rows of classes and refined boxes for the outputs of either mode."""
        return self.rows(outputs[0], outputs[-1])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's label weights (ATSS targets) or 1 everywhere (FCOS targets)."""
        labels, label_weights, _, _ = records['get_targets'][0]
        positive = is_positive(self.head, flatten_targets(labels))
        count = positive.sum().float()
        if self.head.sync_num_pos:
            count = reduce_mean(count)
        return DenseTargets(
            label_weights=label_weights,
            avg_factor=count.clamp(min=1),
            positive=positive,
            priors=self.priors(predictions),
        )
