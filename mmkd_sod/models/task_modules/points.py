"""Reading heads on points: AutoAssign, FoveaBox and CenterNet's successor (CenterNetUpdate)."""
from collections.abc import Callable
from typing import Any

import torch
from mmdet.utils import reduce_mean
from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    PointReader,
    Records,
    flatten_levels,
    is_positive,
    joint_logits,
    level_rows,
    rank_mean,
)
from .towers import Feats


@HEAD_READERS.register_module(name='AutoAssignHead')
class AutoAssignReader(PointReader):
    """AutoAssign: the product of class and objectness scores, and distances.

    The head's losses and its predictions know the two scores by their product alone, so their
    product is compared, as one logit. Nothing is assigned: every location has weight 1, and the
    normaliser is that of the head's own sum over all locations, the sum of the centre priors
    (averaged over ranks, at least 1). All of this is this project's choice; CrossKD's paper has no
    such head.
    """

    compared = 'classes times objectness; boxes; every location counts'

    def target_sources(self) -> dict[str, tuple[object, str, Callable | None]]:
        """The centre priors of each image."""
        return {'center_prior': (self.head.center_prior, 'forward', None)}

    def flatten(self, outputs) -> DensePredictions:
        """Rows of joint logits and distances."""
        cls_maps, reg_maps, objectness = outputs
        cls = flatten_levels(cls_maps, self.head.cls_out_channels)
        return DensePredictions(
            cls=joint_logits(cls, flatten_levels(objectness, 1)),
            reg=flatten_levels(reg_maps, 4),
            center=None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Weight 1 everywhere; the sum of the centre priors."""
        priors, inside = zip(*records['center_prior'], strict=True)
        total = sum(prior.detach().sum() for prior in priors)
        return DenseTargets(
            label_weights=None,
            avg_factor=reduce_mean(total).clamp(min=1),
            positive=level_rows([mask.any(dim=1) for mask in inside], predictions),
            priors=self.priors(predictions))


@HEAD_READERS.register_module(name='FoveaHead')
class FoveaReader(PointReader):
    """FoveaBox: the regression is the log of the distances, in units of each level's base edge.

    Every location counts; the normaliser is the head's own, positives plus images. With
    ``with_deform`` the class tower starts from the predicted boxes: behind the split it does not.
    """

    compared = 'classes; boxes; every location counts'

    def layout(self) -> dict[str, Any]:
        """As the base, and the units of the distances."""
        return dict(super().layout(), base_edge_list=list(self.head.base_edge_list))

    def tail_input(self, feats: Feats, idx: int) -> tuple[Tensor, ...]:
        """Of the tower's input only the size matters, but it must fit the layer before a tower."""
        channels = self.head.in_channels
        return tuple(feat.new_zeros(len(feat), channels, *feat.shape[-2:])
                     if feat.shape[1] != channels else feat
                     for feat in super().tail_input(feats, idx))

    def flatten(self, outputs) -> DensePredictions:
        """Rows of classes and distances in pixels."""
        cls_maps, reg_maps = outputs
        distances = [level.float().exp() * edge
                     for level, edge in zip(reg_maps, self.head.base_edge_list, strict=True)]
        return DensePredictions(
            cls=flatten_levels(cls_maps, self.head.cls_out_channels),
            reg=flatten_levels(distances, 4),
            center=None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Weight 1 everywhere; positives plus images."""
        labels, _ = records['get_targets'][0]
        positive = is_positive(self.head, labels)
        images = len(labels) // sum(h * w for h, w in predictions.levels)
        return DenseTargets(
            label_weights=None,
            avg_factor=rank_mean(positive.sum() + images, predictions.cls),
            positive=positive,
            priors=self.priors(predictions))


@HEAD_READERS.register_module(name='CenterNetUpdateHead')
class CenterNetUpdateReader(PointReader):
    """CenterNet as a one-stage head with towers (CenterNet2): heat maps and distances.

    The heat maps are compared as classes. Every location counts; the normaliser is the head's own
    count of locations taken as centres, averaged over ranks.
    """

    target_methods = ('add_cls_pos_inds', )
    compared = 'heat maps as classes; boxes; every location counts'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Weight 1 everywhere; the number of centres."""
        rows, _ = records['add_cls_pos_inds'][0]
        positive = torch.zeros(
            len(predictions.cls), dtype=torch.bool, device=predictions.cls.device)
        count = 0 if rows is None else len(rows)
        if count:
            positive[rows] = True
        count = torch.tensor(count, dtype=torch.float, device=predictions.cls.device)
        return DenseTargets(
            label_weights=None,
            avg_factor=reduce_mean(count).clamp(min=1),
            positive=positive,
            priors=self.priors(predictions))
