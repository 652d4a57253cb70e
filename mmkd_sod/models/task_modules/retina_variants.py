"""Readers of RetinaNet variants with other target assignments: FreeAnchor, FSAF."""

import torch

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
    """Reads FreeAnchor heads: classes and boxes; no targets are assigned, every anchor counts.

    The normaliser is that of the head's own sum over all anchors, the negative bags: the number of
    objects times ``pre_anchor_topk``, at least 1. These are choices of this project; the CrossKD
    paper has no such head.

    Args:
        head (nn.Module): The head.
    """

    family = 'RetinaNet'
    target_methods = ('positive_loss_single',)
    compared = 'classes; boxes; every anchor counts'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weight 1 everywhere and the number of objects times ``pre_anchor_topk``."""
        objects = sum(count for _, _, count in records['positive_loss_single'])
        bags = rank_mean(objects * self.head.pre_anchor_topk, predictions.cls)
        return DenseTargets(
            label_weights=None, avg_factor=bags.clamp(min=1), priors=self.priors(predictions)
        )


@HEAD_READERS.register_module(name='FSAFHead')
class FSAFReader(DistanceReader, AnchorBoxReader):
    """Reads FSAF heads: classes and distances on one square anchor per location.

    Each object is trained on one chosen level. Weights are separate per class: those that the head
    ignores (the outer region of an object) and those of objects on other levels are 0, as in its
    own loss. The normaliser is the number of positives on the chosen levels, or the number of
    negatives if there is no object.

    Args:
        head (nn.Module): The head.
    """

    target_methods = ('get_targets', 'reweight_loss_single')
    compared = 'classes, weighted per class; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the student's weights after each object got its level."""
        labels, label_weights, _, _, _, sampled, _ = records['get_targets'][0]
        labels = flatten_targets(labels)
        chosen = flatten_targets([flags for *_, flags in records['reweight_loss_single']])
        classes = label_weights[0].shape[-1]
        weights = flatten_targets(label_weights).reshape(-1, classes)
        dropped = is_positive(self.head, labels) & ~chosen
        own = labels[:, None] == torch.arange(classes, device=labels.device)
        weights = weights.masked_fill(dropped[:, None] & own, 0)
        negatives = rank_mean(sum(result.num_neg for result in sampled), predictions.cls)
        positives = rank_mean(chosen.sum(), predictions.cls)
        return DenseTargets(
            label_weights=weights,
            avg_factor=torch.where(positives > 0, positives, negatives.clamp(min=1)),
            positive=chosen,
            priors=self.priors(predictions),
        )
