"""Reading heads built like RetinaNet's that assign otherwise: FreeAnchor and FSAF."""
import torch
from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .anchor import AnchorBoxReader
from .base import (
    DensePredictions,
    DenseTargets,
    DistanceReader,
    Records,
    flatten_targets,
    is_positive,
    rank_mean,
)


@HEAD_READERS.register_module(name='FreeAnchorRetinaHead')
class FreeAnchorReader(AnchorBoxReader):
    """FreeAnchor: no anchor is assigned to an object, so every anchor counts alike.

    The normaliser is that of the head's own sum over all anchors, the negative bags: the number of
    objects times ``pre_anchor_topk``, at least 1. Weights of 1 and this normaliser are this
    project's choice; CrossKD's paper has no such head.
    """

    family = 'RetinaNet'
    target_methods = ('positive_loss_single', )
    compared = 'classes; boxes; every anchor counts'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Weight 1 everywhere; objects times ``pre_anchor_topk``."""
        objects = sum(count for _, _, count in records['positive_loss_single'])
        bags = rank_mean(objects * self.head.pre_anchor_topk, predictions.cls)
        return DenseTargets(
            label_weights=None,
            avg_factor=bags.clamp(min=1),
            priors=self.priors(predictions))


@HEAD_READERS.register_module(name='FSAFHead')
class FSAFReader(DistanceReader, AnchorBoxReader):
    """FSAF: distances on one square anchor a location, each object on the level it chose.

    Weights are one a class: those that the head ignores (the outer region of an object) and those
    of objects on levels that were not chosen are 0, as in its own loss. The normaliser is the
    number of positives on the chosen levels; of all negatives where there is no object.
    """

    target_methods = ('get_targets', 'reweight_loss_single')
    compared = 'classes by one weight a class; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """The student's weights after every object chose its level."""
        labels, label_weights, _, _, _, sampled, _ = records['get_targets'][0]
        labels = flatten_targets(labels)
        chosen = flatten_targets([flags for *_, flags in records['reweight_loss_single']])
        classes = label_weights[0].shape[-1]
        weights = flatten_weights(label_weights, classes)
        dropped = (is_positive(self.head, labels) & ~chosen).nonzero().squeeze(-1)
        weights[dropped, labels[dropped]] = 0
        negatives = rank_mean(sum(result.num_neg for result in sampled), predictions.cls)
        positives = rank_mean(chosen.sum(), predictions.cls)
        return DenseTargets(
            label_weights=weights,
            avg_factor=torch.where(positives > 0, positives, negatives.clamp(min=1)),
            positive=chosen,
            priors=self.priors(predictions))


def flatten_weights(levels: list[Tensor], classes: int) -> Tensor:
    """(N, H * W, C) weights of all levels to (P, C) rows that may be written to."""
    return flatten_targets(levels).reshape(-1, classes).clone()
