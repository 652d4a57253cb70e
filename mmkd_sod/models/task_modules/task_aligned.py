"""Readers of heads trained by task alignment: TOOD, RTMDet."""

from collections.abc import Mapping
from typing import Any, cast

import torch
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from mmkd_sod.registry import HEAD_READERS

from .base import (
    DensePredictions,
    DenseTargets,
    DistanceReader,
    HeadReader,
    Records,
    flatten_targets,
    is_positive,
)
from .towers import Feats, Feed, block_channels


def aligned_targets(head: nn.Module, records: Records) -> DenseTargets:
    """Return label weights and, averaged over ranks, the sum of the alignment metrics."""
    priors, labels, label_weights, _, metrics, *_ = records['get_targets'][0]
    return DenseTargets(
        label_weights=flatten_targets(label_weights),
        avg_factor=reduce_mean(flatten_targets(metrics).sum()).clamp(min=1),
        positive=is_positive(head, flatten_targets(labels)),
        priors=torch.cat([p.reshape(-1, p.shape[-1]) for p in priors]),
    )


@HEAD_READERS.register_module(name='TOODHead')
class TOODReader(HeadReader):
    """Reads TOOD heads: one tower for both tasks, with prediction layers on *every* block's output.

    After ``idx`` blocks the outputs of all blocks so far are passed to the teacher's head, each
    aligned with the teacher's output of the same block, since the rest of that head uses them all;
    student and teacher must be split after the same block. Scores are probabilities and are
    compared as their logits; boxes are decoded, in units of the stride. The normaliser is the
    head's own, the sum of the alignment metrics. These are choices of this project; the CrossKD
    paper has no such head.

    Args:
        head (nn.Module): The head.
    """

    towers = ('inter_convs',)
    compared = 'aligned scores; decoded boxes; features of every block up to the split'
    # Scores are clamped to this distance from 0 and 1, so that their logits are finite.
    score_eps = 1e-6

    def layout(self) -> dict[str, Any]:
        """Return the settings of the base class and the type of the anchors."""
        return dict(super().layout(), anchor_type=self.head.anchor_type)

    def streams(self, idx: int) -> tuple[str, ...]:
        """Return one name per block that the features have passed."""
        (tower,) = self.towers
        return tuple(f'{tower}_{block}' for block in range(idx)) or (tower,)

    def channels(self, idx: int) -> dict[str, int]:
        """Return the channels of each block's output."""
        if idx == 0:
            return super().channels(0)
        blocks = self._blocks(self.towers[0])
        return {
            name: block_channels(block)
            for name, block in zip(self.streams(idx), blocks[:idx], strict=True)
        }

    def tower_sources(self, idx: int) -> dict[str, tuple[nn.Module, str]]:
        """Return the blocks up to the split, whose outputs a recorder records."""
        blocks = self._blocks(self.towers[0])
        return {
            name: (block, 'output')
            for name, block in zip(self.streams(idx), blocks[:idx], strict=True)
        }

    def _replacement(self, tower: str, feats: Feats, idx: int) -> nn.Module:
        fed = [Feed(feats[name]) for name in self.streams(idx)] if idx else []
        return nn.ModuleList([*fed, *self._blocks(tower)[idx:]])

    def flatten(self, outputs) -> DensePredictions:
        """Return rows of logits and boxes in pixels."""
        cls_maps, reg_maps = outputs
        strides = self.head.prior_generator.strides
        rows = self.rows(
            cls_maps, [level * stride[0] for level, stride in zip(reg_maps, strides, strict=True)]
        )
        rows.cls = torch.logit(rows.cls.float(), eps=self.score_eps)
        return rows

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return label weights and the sum of the alignment metrics."""
        return aligned_targets(self.head, records)

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Return the regression rows, which are boxes already."""
        return reg


@HEAD_READERS.register_module(name=['RTMDetHead', 'RTMDetSepBNHead'])
class RTMDetReader(DistanceReader):
    """Reads RTMDet heads: class logits, which include objectness if predicted, and distances.

    The towers end in SiLU, so no ReLU follows the alignment of features. With separate BN each
    level has its own towers. The normaliser is the head's own, the sum of the alignment metrics.

    Args:
        head (nn.Module): The head.
    """

    family = 'RTMDet'
    compared = 'classes; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return label weights and the sum of the alignment metrics."""
        targets = aligned_targets(self.head, records)
        targets.priors = cast(Tensor, targets.priors)[:, :2]
        return targets


@HEAD_READERS.register_module(name=['RTMDetInsHead', 'RTMDetInsSepBNHead'])
class RTMDetInsReader(RTMDetReader):
    """Reads RTMDet-Ins heads: as RTMDet.

    The head also predicts the filters of masks. Filters of two networks apply to different mask
    features and are not compared; masks are left to the student's own loss.

    Args:
        head (nn.Module): The head.
    """

    compared = 'as RTMDetHead; not the filters of masks'
    kind = 'dense with masks'

    def collect(self, records: Mapping[str, list]) -> dict[str, list]:
        """Return the streams; with separate BN both tasks run one tower, each for itself."""
        if self._levels('cls_convs') is not None:
            records = {name: kept[:1] for name, kept in records.items()}
        return super().collect(records)
