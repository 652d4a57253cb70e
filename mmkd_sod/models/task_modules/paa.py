"""Readers of PAA and LAD heads."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from mmkd_sod.registry import HEAD_READERS

from .anchor import AnchorBoxReader
from .base import DensePredictions, DenseTargets, Records, is_positive, level_rows, rank_mean


@HEAD_READERS.register_module(name='PAAHead')
class PAAReader(AnchorBoxReader):
    """Reads PAA heads: classes, boxes on anchors, IoU; the student's losses reduce the positives.

    Labels and weights are the results of ``paa_reassign``, as in the head's classification loss;
    the normaliser is also the head's own: the remaining positives, at least the number of images.

    Args:
        head (nn.Module): The head.
    """

    family = 'PAA'
    has_centerness = True
    target_methods = ('paa_reassign',)
    compared = 'classes; boxes; IoU branch at positives left after reassignment'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weights and positives after reassignment."""
        labels, label_weights, _, counts = zip(*records['paa_reassign'], strict=True)
        return self._targets(labels, label_weights, sum(counts), predictions)

    def _targets(
        self,
        labels: Sequence[Tensor],
        label_weights: Sequence[Tensor],
        positives: float | Tensor,
        predictions: DensePredictions,
    ) -> DenseTargets:
        anchors = self.head.num_base_priors
        total = rank_mean(positives, predictions.cls)
        return DenseTargets(
            label_weights=level_rows(label_weights, predictions, anchors),
            avg_factor=total.clamp(min=len(labels)),
            positive=is_positive(self.head, level_rows(labels, predictions, anchors)),
            priors=self.priors(predictions),
        )


@HEAD_READERS.register_module(name='LADHead')
class LADReader(PAAReader):
    """Reads LAD heads: as PAA heads, but LAD's own teacher assigns the targets.

    Args:
        head (nn.Module): The head.
    """

    compared = "as PAAHead, by the assignment of LAD's own teacher"

    def target_sources(self) -> dict[str, tuple[object, str, Callable | None]]:
        """Return the head's ``loss``, one of whose arguments is the assignment."""
        return {'loss': (self.head, 'loss', _assignment)}

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return weights and positives of the given assignment."""
        labels, label_weights, *_, positives = records['loss'][0]
        size = sum(h * w for h, w in predictions.levels) * self.head.num_base_priors
        return self._targets(labels.split(size), label_weights.split(size), positives, predictions)


def _assignment(args: tuple, _: Any) -> tuple:
    return args[1]
