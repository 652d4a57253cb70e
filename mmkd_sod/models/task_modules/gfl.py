"""Reading heads that predict a distribution over each box side: GFL and those like it."""
from typing import Any

import torch
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    HeadReader,
    Records,
    flatten_levels,
    flatten_targets,
    is_positive,
    rank_mean,
)


def assigned_targets(head: nn.Module, records: Records, device: torch.device) -> DenseTargets:
    """Targets of heads whose ``get_targets`` starts with the anchors (GFL, ATSS and their kin)."""
    anchors, labels, label_weights, *_, avg_factor = records['get_targets'][0]
    avg_factor = reduce_mean(torch.tensor(avg_factor, dtype=torch.float, device=device))
    return DenseTargets(
        label_weights=flatten_targets(label_weights),
        avg_factor=avg_factor,
        positive=is_positive(head, flatten_targets(labels)),
        priors=torch.cat([a.reshape(-1, a.shape[-1]) for a in anchors]))


class BinsReader(HeadReader):
    """Heads whose box sides are distributions over ``bins`` bins each."""

    reg_kind = 'bins'

    @property
    def bins(self) -> int:
        """Bins of one side."""
        raise NotImplementedError

    @property
    def reg_channels(self) -> int:
        """Bins of the four sides of an anchor."""
        return 4 * self.bins

    def reg_loss(self, loss: nn.Module, student: DensePredictions, teacher: DensePredictions,
                 weight: Tensor, targets: DenseTargets) -> Tensor:
        """KL between the bins of each side, divided by 4 and by the sum of the weights."""
        total = reduce_mean(weight.sum()).clamp(min=torch.finfo(torch.float32).tiny)
        return loss(
            student.reg.reshape(-1, self.bins),
            teacher.reg.reshape(-1, self.bins),
            weight=weight.repeat_interleave(4),
            avg_factor=4.0 * total)


@HEAD_READERS.register_module(name=['GFLHead', 'LDHead'])
class GFLReader(BinsReader):
    """GFL: classes and distributions over the four box sides, ``reg_max + 1`` bins each.

    LD's head predicts and assigns alike; its own distillation loss stays what it is.
    """

    compared = 'classes; distributions over the box sides'

    @property
    def bins(self) -> int:
        """Bins of one side."""
        return self.head.reg_max + 1

    def layout(self) -> dict[str, Any]:
        """As the base, and the bins."""
        return dict(super().layout(), reg_max=self.head.reg_max)

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's label weights; the assigner's count of positives, averaged over ranks."""
        return assigned_targets(self.head, records, predictions.cls.device)


@HEAD_READERS.register_module(name='SABLRetinaHead')
class SABLReader(BinsReader):
    """SABL-RetinaNet: classes, and for each box side the bucket that it falls into.

    The buckets' scores are compared as distributions over the ``side_num`` buckets of a side, which
    is how the head decodes them; the offsets within the buckets are left to the student's own loss.
    The choice is this project's own.
    """

    compared = 'classes; distributions over the buckets of each side, not the offsets in them'

    @property
    def bins(self) -> int:
        """Buckets of one side."""
        return self.head.side_num

    def layout(self) -> dict[str, Any]:
        """Strides, anchors and buckets."""
        squares, coder = self.head.square_anchor_generator, self.head.bbox_coder
        return {'strides': [tuple(stride) for stride in squares.strides],
                'anchors': [a.round().tolist() for a in squares.base_anchors],
                'num_buckets': coder.num_buckets, 'scale_factor': coder.scale_factor}

    def flatten(self, outputs) -> DensePredictions:
        """Rows of classes and buckets."""
        cls_maps, reg_maps = outputs
        return DensePredictions(
            cls=flatten_levels(cls_maps, self.head.cls_out_channels),
            reg=flatten_levels([buckets for buckets, _ in reg_maps], self.reg_channels),
            center=None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's label weights; the assigner's count, averaged over ranks."""
        labels, label_weights, *_, avg_factor = records['get_targets'][0]
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=rank_mean(avg_factor, predictions.cls),
            positive=is_positive(self.head, flatten_targets(labels)))
