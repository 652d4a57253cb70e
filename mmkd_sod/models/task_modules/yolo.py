"""Readers of YOLOX and YOLOF heads."""

from mmdet.utils import reduce_mean
from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .anchor import AnchorBoxReader
from .base import (
    DensePredictions,
    DenseTargets,
    ObjectnessReader,
    Records,
    is_positive,
    level_rows,
    prior_rows,
    rank_mean,
)


@HEAD_READERS.register_module(name='YOLOXHead')
class YOLOXReader(ObjectnessReader):
    """Reads YOLOX heads: the product of class and objectness scores, and boxes.

    Class scores are trained at positives only and undefined elsewhere, so the product, which ranks
    the head's predictions, is compared as one logit. As in the head's objectness loss every
    location counts, and the normaliser is the number of positives, averaged over ranks. These are
    choices of this project; the CrossKD paper has no such head.

    Args:
        head (nn.Module): The head.
    """

    towers = ('multi_level_cls_convs', 'multi_level_reg_convs')
    target_methods = ('_get_targets_single',)

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weight 1 everywhere and the number of positives."""
        positive = level_rows([image[0] for image in records['_get_targets_single']], predictions)
        return DenseTargets(
            label_weights=None,
            avg_factor=reduce_mean(positive.sum().float()).clamp(min=1),
            positive=positive,
            priors=prior_rows(self.head.prior_generator, predictions, with_stride=True),
        )

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Decode (P, 4) shifts of the centre and logarithms of the size to boxes."""
        return self.head._bbox_decode(targets.priors, reg)


@HEAD_READERS.register_module(name='YOLOFHead')
class YOLOFReader(AnchorBoxReader):
    """Reads YOLOF heads: one level, class logits that include objectness, boxes on anchors.

    The class tower has fewer blocks and limits the index of the split.

    Args:
        head (nn.Module): The head.
    """

    towers = ('cls_subnet', 'bbox_subnet')
    compared = 'classes; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's label weights and the assigner's count, averaged over ranks."""
        labels, label_weights, avg_factor, *_ = records['get_targets'][0]
        return DenseTargets(
            label_weights=label_weights.reshape(-1),
            avg_factor=rank_mean(avg_factor, labels).clamp(min=1),
            positive=is_positive(self.head, labels.reshape(-1)),
            priors=self.priors(predictions),
        )
