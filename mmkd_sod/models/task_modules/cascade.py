"""CrossKD of two-stage detectors with several stages: Cascade R-CNN, HTC."""

from collections.abc import Sequence
from typing import Any

from mmdet.structures.bbox import bbox2roi
from torch import Tensor

from mmkd_sod.registry import CROSS_READERS

from .crossing import Losses
from .two_stage import TwoStageCross


@CROSS_READERS.register_module(name='CascadeRoIHead')
class CascadeCross(TwoStageCross):
    """Crosses RoI heads of several stages, such as Cascade R-CNN.

    Each stage of the teacher runs on the boxes that the student's sampler chose for the same stage;
    losses have the prefix ``s<stage>.``. A choice of this project; the release has no such
    detector.
    """

    def losses(self) -> Losses:
        """See ``CrossReader.losses``; each weight divided by the number of stages."""
        losses = super().losses()
        for cfg in losses.values():
            cfg['loss_weight'] /= len(self._stages(self.teacher))
        return losses

    def box_forward(self, stage: int, feats: tuple[Tensor, ...], rois: Tensor, **context) -> dict:
        """See ``TwoStageCross.box_forward``."""
        return self.teacher.roi_head._bbox_forward(stage, feats, rois, **context)

    def mask_forward(
        self,
        stage: int,
        feats: tuple[Tensor, ...],
        samples: Sequence[Any],
        results: dict,
        **context: Any,
    ) -> Tensor:
        """See ``TwoStageCross.mask_forward``."""
        rois = bbox2roi([sample.pos_priors for sample in samples])
        return self.teacher.roi_head._mask_forward(stage, feats, rois, **context)['mask_preds']


@CROSS_READERS.register_module(name='HybridTaskCascadeRoIHead')
class HybridTaskCascadeCross(CascadeCross):
    """Crosses HTC heads: as ``CascadeCross``, with the teacher's semantic head in both passes."""

    def context(self, feats: tuple[Tensor, ...]) -> dict[str, Any]:
        """See ``TwoStageCross.context``: the semantic feature, where the head has one."""
        head = self.teacher.roi_head
        return dict(semantic_feat=head.semantic_head(feats)[1]) if head.with_semantic else {}
