"""Readers of heads on points: AutoAssign, FoveaBox and CenterNet2's one-stage head."""

from collections.abc import Callable
from typing import Any

import torch
from mmdet.utils import reduce_mean
from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    ObjectnessReader,
    PointReader,
    Records,
    is_positive,
    level_rows,
    rank_mean,
)
from .towers import Feats


@HEAD_READERS.register_module(name='AutoAssignHead')
class AutoAssignReader(ObjectnessReader, PointReader):
    """Reads AutoAssign heads: the product of class and objectness scores, and distances.

    Losses and predictions of the head use the product only, so the product is compared as one
    logit. The head assigns no targets: every location has weight 1, and the normaliser is that of
    the head's own sum over all locations, the sum of the centre priors (averaged over ranks, at
    least 1). These are choices of this project; the CrossKD paper has no such head.

    Args:
        head (nn.Module): The head.
    """

    def target_sources(self) -> dict[str, tuple[object, str, Callable | None]]:
        """Return the call that computes the centre priors of each image."""
        return {'center_prior': (self.head.center_prior, 'forward', None)}

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weight 1 everywhere and the sum of the centre priors."""
        priors, inside = zip(*records['center_prior'], strict=True)
        total = sum(prior.detach().sum() for prior in priors)
        return DenseTargets(
            label_weights=None,
            avg_factor=reduce_mean(total).clamp(min=1),
            positive=level_rows([mask.any(dim=1) for mask in inside], predictions),
            priors=self.priors(predictions),
        )


@HEAD_READERS.register_module(name='FoveaHead')
class FoveaReader(PointReader):
    """Reads FoveaBox heads: classes and logarithms of distances in units of each level's base edge.

    Every location counts; the normaliser is the head's own, the number of positives plus the number
    of images. With ``with_deform`` the class tower starts from the predicted boxes; after a split
    it does not.

    Args:
        head (nn.Module): The head.
    """

    compared = 'classes; boxes; every location counts'

    def layout(self) -> dict[str, Any]:
        """Return the settings of the base class and the units of the distances."""
        return dict(super().layout(), base_edge_list=list(self.head.base_edge_list))

    def tail_input(self, feats: Feats, idx: int) -> tuple[Tensor, ...]:
        """Return inputs of the right size and with the channels that the first layer needs."""
        channels = self.head.in_channels
        return tuple(
            feat.new_zeros(len(feat), channels, *feat.shape[-2:])
            if feat.shape[1] != channels
            else feat
            for feat in super().tail_input(feats, idx)
        )

    def flatten(self, outputs) -> DensePredictions:
        """Return rows of classes and distances in pixels."""
        cls_maps, reg_maps = outputs
        return self.rows(
            cls_maps,
            [
                level.float().exp() * edge
                for level, edge in zip(reg_maps, self.head.base_edge_list, strict=True)
            ],
        )

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weight 1 everywhere and the number of positives plus images."""
        labels, _ = records['get_targets'][0]
        positive = is_positive(self.head, labels)
        images = len(labels) // sum(h * w for h, w in predictions.levels)
        return DenseTargets(
            label_weights=None,
            avg_factor=rank_mean(positive.sum() + images, predictions.cls),
            positive=positive,
            priors=self.priors(predictions),
        )


@HEAD_READERS.register_module(name='CenterNetUpdateHead')
class CenterNetUpdateReader(PointReader):
    """Reads the one-stage head with towers of CenterNet2: heat maps and distances.

    The heat maps are compared as classes. Every location counts; the normaliser is the head's own,
    the number of centre locations, averaged over ranks.

    Args:
        head (nn.Module): The head.
    """

    target_methods = ('add_cls_pos_inds',)
    compared = 'heat maps as classes; boxes; every location counts'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weight 1 everywhere and the number of centres."""
        rows, _ = records['add_cls_pos_inds'][0]
        positive = torch.zeros(
            len(predictions.cls), dtype=torch.bool, device=predictions.cls.device
        )
        count = 0 if rows is None else len(rows)
        if count:
            positive[rows] = True
        return DenseTargets(
            label_weights=None,
            avg_factor=rank_mean(count, predictions.cls).clamp(min=1),
            positive=positive,
            priors=self.priors(predictions),
        )
