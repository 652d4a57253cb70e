"""Readers of heads that predict a distribution per box side: GFL, SABL."""

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
    flatten_targets,
    is_positive,
    rank_mean,
)
from .crossing import Comparison


def assigned_targets(head: nn.Module, records: Records) -> DenseTargets:
    """Return the targets of a head whose ``get_targets`` returns the anchors first, as GFL's."""
    anchors, labels, label_weights, *_, avg_factor = records['get_targets'][0]
    return DenseTargets(
        label_weights=flatten_targets(label_weights),
        avg_factor=rank_mean(avg_factor, label_weights[0]),
        positive=is_positive(head, flatten_targets(labels)),
        priors=torch.cat([a.reshape(-1, a.shape[-1]) for a in anchors]),
    )


class BinsReader(HeadReader):
    """Reads heads that predict each box side as a distribution over ``bins`` bins.

    Args:
        head (nn.Module): The head.
    """

    reg_kind = 'bins'
    box_loss = dict(type='mmkd_sod.KDKLDivLoss', tau=1.0, loss_weight=4.0)

    @property
    def bins(self) -> int:
        """Bins per side."""
        raise NotImplementedError

    @property
    def reg_channels(self) -> int:
        """Bins of the four sides per anchor."""
        return 4 * self.bins

    def compare_reg(
        self,
        student: DensePredictions,
        teacher: DensePredictions,
        weight: Tensor,
        targets: DenseTargets,
    ) -> Comparison:
        """Return the bins of each side, divided by 4 and by the sum of the weights.

        Args:
            student (DensePredictions): Cross-head predictions.
            teacher (DensePredictions): Predictions of the teacher.
            weight (Tensor): (P, ), confidence of the teacher.
            targets (DenseTargets): Not used.
        """
        total = reduce_mean(weight.sum()).clamp(min=torch.finfo(torch.float32).tiny)
        return Comparison(
            'loss_reg_kd',
            student.reg.reshape(-1, self.bins),
            teacher.reg.reshape(-1, self.bins),
            weight.repeat_interleave(4),
            4.0 * total,
        )


@HEAD_READERS.register_module(name=['GFLHead', 'LDHead'])
class GFLReader(BinsReader):
    """Reads GFL heads: classes and distributions over four box sides of ``reg_max + 1`` bins.

    LD heads have the same predictions and targets; their own distillation loss is not affected.

    Args:
        head (nn.Module): The head.
    """

    compared = 'classes; distributions over the box sides'

    @property
    def bins(self) -> int:
        """Bins per side."""
        return self.head.reg_max + 1

    def layout(self) -> dict[str, Any]:
        """Return the settings of the base class and ``reg_max``."""
        return dict(super().layout(), reg_max=self.head.reg_max)

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's label weights and number of positives, averaged over ranks."""
        return assigned_targets(self.head, records)


@HEAD_READERS.register_module(name='SABLRetinaHead')
class SABLReader(BinsReader):
    """Reads SABL-RetinaNet heads: classes and the bucket of each box side.

    The scores of the ``side_num`` buckets of a side are compared as a distribution, which is how
    the head decodes them; offsets within the buckets are not compared. These are choices of this
    project; the CrossKD paper has no such head.

    Args:
        head (nn.Module): The head.
    """

    compared = 'classes; distributions over the buckets of each side, not the offsets in them'

    @property
    def bins(self) -> int:
        """Buckets per side."""
        return self.head.side_num

    def layout(self) -> dict[str, Any]:
        """Return strides, anchors and buckets."""
        squares, coder = self.head.square_anchor_generator, self.head.bbox_coder
        return {
            'strides': [tuple(stride) for stride in squares.strides],
            'anchors': [a.round().tolist() for a in squares.base_anchors],
            'num_buckets': coder.num_buckets,
            'scale_factor': coder.scale_factor,
        }

    def flatten(self, outputs) -> DensePredictions:
        """Return rows of classes and buckets."""
        cls_maps, reg_maps = outputs
        return self.rows(cls_maps, [buckets for buckets, _ in reg_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's label weights and the assigner's count, averaged over ranks."""
        labels, label_weights, *_, avg_factor = records['get_targets'][0]
        return DenseTargets(
            label_weights=flatten_targets(label_weights),
            avg_factor=rank_mean(avg_factor, predictions.cls),
            positive=is_positive(self.head, flatten_targets(labels)),
        )
