"""Reading YOLOX and YOLOF heads."""
import torch
from mmdet.utils import reduce_mean
from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .anchor import AnchorBoxReader
from .base import (
    DensePredictions,
    DenseTargets,
    HeadReader,
    Records,
    flatten_levels,
    is_positive,
    joint_logits,
    level_rows,
    prior_rows,
)


@HEAD_READERS.register_module(name='YOLOXHead')
class YOLOXReader(HeadReader):
    """YOLOX: the product of class and objectness scores, and boxes.

    Class scores are trained at positives alone and mean nothing elsewhere, so the product, which
    ranks the head's predictions, is compared as one logit. Every location counts, as for the head's
    objectness; the normaliser is its own, the count of positives averaged over ranks. The choice is
    this project's own.
    """

    towers = ('multi_level_cls_convs', 'multi_level_reg_convs')
    target_methods = ('_get_targets_single', )
    compared = 'classes times objectness; boxes; every location counts'

    def flatten(self, outputs) -> DensePredictions:
        """Rows of joint logits and of raw boxes."""
        cls_maps, reg_maps, objectness = outputs
        cls = flatten_levels(cls_maps, self.head.cls_out_channels)
        return DensePredictions(
            cls=joint_logits(cls, flatten_levels(objectness, 1)),
            reg=flatten_levels(reg_maps, 4),
            center=None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Weight 1 everywhere; the count of positives."""
        positive = level_rows([image[0] for image in records['_get_targets_single']], predictions)
        return DenseTargets(
            label_weights=None,
            avg_factor=reduce_mean(positive.sum().float()).clamp(min=1),
            positive=positive,
            priors=prior_rows(self.head.prior_generator, predictions, with_stride=True))

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Decode (P, 4) shifts of the centre and logs of the size to boxes."""
        return self.head._bbox_decode(targets.priors, reg)


@HEAD_READERS.register_module(name='YOLOFHead')
class YOLOFReader(AnchorBoxReader):
    """YOLOF: one level; class logits with the objectness inside, and boxes on anchors.

    Its class tower is the shorter one and bounds the split.
    """

    towers = ('cls_subnet', 'bbox_subnet')
    compared = 'classes; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's label weights; the assigner's count, averaged over ranks."""
        labels, label_weights, avg_factor, *_ = records['get_targets'][0]
        avg_factor = torch.tensor(avg_factor, dtype=torch.float, device=labels.device)
        return DenseTargets(
            label_weights=label_weights.reshape(-1),
            avg_factor=reduce_mean(avg_factor).clamp(min=1),
            positive=is_positive(self.head, labels.reshape(-1)),
            priors=self.priors(predictions))
