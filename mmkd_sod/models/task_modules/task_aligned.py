"""Reading heads trained by task alignment: TOOD and RTMDet."""
from typing import Any

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
    flatten_levels,
    flatten_targets,
    is_positive,
)
from .towers import Feats, Feed, block_channels


def aligned_targets(head: nn.Module, records: Records) -> DenseTargets:
    """Label weights; the normaliser is the sum of the alignment metrics, averaged over ranks."""
    priors, labels, label_weights, _, metrics, *_ = records['get_targets'][0]
    return DenseTargets(
        label_weights=flatten_targets(label_weights),
        avg_factor=reduce_mean(flatten_targets(metrics).sum()).clamp(min=1),
        positive=is_positive(head, flatten_targets(labels)),
        priors=torch.cat([p.reshape(-1, p.shape[-1]) for p in priors]))


@HEAD_READERS.register_module(name='TOODHead')
class TOODReader(HeadReader):
    """TOOD: one tower for both tasks, whose prediction layers read the output of *every* block.

    Behind ``idx`` blocks the features of all blocks up to there cross over, each aligned with the
    teacher's of the same block, since the teacher's remaining head reads them all; student and
    teacher must be split behind the same block. The scores are probabilities and are compared as
    their logits; the boxes come decoded, in units of the stride. The normaliser is the head's own,
    the sum of the alignment metrics. All of this is this project's choice.
    """

    towers = ('inter_convs', )
    compared = 'aligned scores; decoded boxes; features of every block up to the split'
    # Scores nearer to 0 or 1 than this count as that near; their logits stay finite.
    score_eps = 1e-6

    def layout(self) -> dict[str, Any]:
        """As the base, and what the boxes start from."""
        return dict(super().layout(), anchor_type=self.head.anchor_type)

    def streams(self, idx: int) -> tuple[str, ...]:
        """One a block that the features passed."""
        tower, = self.towers
        return tuple(f'{tower}_{block}' for block in range(idx)) or (tower, )

    def channels(self, idx: int) -> dict[str, int]:
        """Channels of each block's output."""
        if idx == 0:
            return super().channels(0)
        blocks = self._blocks(self.towers[0])
        return {name: block_channels(block)
                for name, block in zip(self.streams(idx), blocks[:idx], strict=True)}

    def tower_taps(self, idx: int) -> dict[str, tuple[nn.Module, str]]:
        """Outputs of all blocks up to the split."""
        blocks = self._blocks(self.towers[0])
        return {name: (block, 'output')
                for name, block in zip(self.streams(idx), blocks[:idx], strict=True)}

    def _cut(self, tower: str, feats: Feats, idx: int) -> nn.Module:
        blocks = getattr(self.head, tower)
        fed = [Feed(feats[name]) for name in self.streams(idx)] if idx else []
        return nn.ModuleList([*fed, *blocks[idx:]])

    def flatten(self, outputs) -> DensePredictions:
        """Rows of logits and of boxes in pixels."""
        cls_maps, reg_maps = outputs
        scores = flatten_levels(cls_maps, self.head.cls_out_channels).float()
        strides = self.head.prior_generator.strides
        boxes = [level * stride[0] for level, stride in zip(reg_maps, strides, strict=True)]
        return DensePredictions(
            cls=torch.logit(scores, eps=self.score_eps),
            reg=flatten_levels(boxes, 4),
            center=None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Label weights and the sum of the alignment metrics."""
        return aligned_targets(self.head, records)

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """The regression is the boxes."""
        return reg


@HEAD_READERS.register_module(name=['RTMDetHead', 'RTMDetSepBNHead'])
class RTMDetReader(DistanceReader):
    """RTMDet: class logits (with objectness inside, where there is a branch) and distances.

    Its towers end in SiLU, so features are aligned and left as they are: no ReLU follows. With
    separate BN each level has towers of its own. The normaliser is the head's own, the sum of the
    alignment metrics.
    """

    family = 'RTMDet'
    compared = 'classes; boxes'

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Label weights and the sum of the alignment metrics."""
        targets = aligned_targets(self.head, records)
        targets.priors = targets.priors[:, :2]
        return targets
