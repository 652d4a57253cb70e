"""CrossKD of two-stage detectors: neck features go through the teacher's RoI head."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmdet.models.task_modules.coders import BucketingBBoxCoder
from mmdet.structures.bbox import bbox2roi
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import Call, CallRecorder, MethodRecorder, Record, Recorder
from mmkd_sod.registry import CROSS_READERS

from .base import rank_mean
from .crossing import Comparison, CrossReader, Losses, check_choice, check_equal, check_necks

_TINY = torch.finfo(torch.float32).tiny


@CROSS_READERS.register_module(name='StandardRoIHead')
class TwoStageCross(CrossReader):
    """Crosses RoI heads of one stage: Faster R-CNN, Mask R-CNN and their relatives.

    The teacher's RoI head, with its own RoI extractor, runs twice on the boxes R that the student's
    sampler chose: on the teacher's and on the student's neck features. Gradients reach the
    student's neck and backbone only. Source: the unpublished branch ``faster-rcnn`` of CrossKD's
    release.

    - ``loss_cls_kd``: softmax of all outputs, background included, divided by the sum over images
      of max(positives, 1) + max(negatives, 1).
    - ``loss_reg_kd``: the teacher's most probable class of each box, weighted by its probability.
    - ``loss_mask_kd``: mask logits at the positives.

    Deviation: normalisers are averaged over ranks, so that the terms do not depend on the number of
    processes; the released code uses those of each rank.

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
        boxes (str): What the box term compares: ``'deltas'``, the raw regression values (released),
            or ``'decoded'``, boxes in pixels, for losses such as ``GIoULoss``.
        masks (str): ``'class'``, the map of the box's class, averaged over positives and pixels, or
            ``'all'``, every map, summed and divided by the number of all sampled boxes (released;
            it outweighs all other terms).
        adapter (bool): Learn a 1x1 convolution from the student's neck width to the teacher's.
    """

    kind = 'two-stage'
    compared = 'classes and deltas of the sampled boxes; masks of the positive ones'
    features_only = True

    def __init__(
        self,
        student: BaseModel,
        teacher: BaseModel,
        boxes: str = 'deltas',
        masks: str = 'class',
        adapter: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, **options)
        check_choice('boxes', boxes, ('deltas', 'decoded'))
        check_choice('masks', masks, ('class', 'all'))
        self.decoded, self.all_masks = boxes == 'decoded', masks == 'all'
        self._check(adapter)
        widths = self._width(student), self._width(teacher)
        if adapter:
            self._adapters = nn.ModuleDict(dict(neck=nn.Conv2d(*widths, 1, bias=False)))

    @property
    def name(self) -> str:
        """See ``CrossReader.name``."""
        return type(self.student.roi_head).__name__

    def _stages(self, model: Any) -> list[tuple[Any, Any]]:
        """Return RoI extractor and box head of each stage."""
        head = model.roi_head
        if isinstance(head.bbox_head, nn.ModuleList):
            return list(zip(head.bbox_roi_extractor, head.bbox_head, strict=True))
        return [(head.bbox_roi_extractor, head.bbox_head)]

    def _width(self, model: Any) -> int:
        return self._stages(model)[0][0].out_channels

    def _check(self, adapter: bool) -> None:
        """Refuse pairs that do not fit."""
        ours, theirs = self._stages(self.student), self._stages(self.teacher)
        check_equal('stages of the RoI heads', len(ours), len(theirs))
        for owner, stages in (('student', ours), ('teacher', theirs)):
            for _, head in stages:
                self._check_head(owner, head)
        for (extractor, head), (other_extractor, other_head) in zip(ours, theirs, strict=True):
            check_equal('classes of the heads', head.num_classes, other_head.num_classes)
            check_equal(
                'strides of the RoI extractors',
                list(extractor.featmap_strides),
                list(other_extractor.featmap_strides),
            )
        check_necks(self._width(self.student), self._width(self.teacher), adapter)

    def _check_head(self, owner: str, head: Any) -> None:
        if head.loss_cls.use_sigmoid or head.custom_cls_channels:
            raise ConfigError(
                f"CrossKDDistiller: the {owner}'s {type(head).__name__} does not classify by one "
                'softmax over classes and background; use loss_cls=dict(type=CrossEntropyLoss)'
            )
        if isinstance(head.bbox_coder, BucketingBBoxCoder):
            raise ConfigError(
                f"CrossKDDistiller: the {owner}'s {type(head).__name__} codes boxes by buckets, "
                'which are not compared; use a box head with deltas, or distil the features with '
                'PKD (docs/mmrazor.md)'
            )

    def losses(self) -> Losses:
        """See ``CrossReader.losses``; the released weights."""
        losses: Losses = dict(
            loss_cls_kd=dict(type='mmkd_sod.KDKLDivLoss', tau=3.0, loss_weight=0.5),
            loss_reg_kd=dict(type='mmdet.GIoULoss', loss_weight=1.0)
            if self.decoded
            else dict(type='mmdet.L1Loss', loss_weight=1.0),
        )
        if self.student.roi_head.with_mask and self.teacher.roi_head.with_mask:
            losses['loss_mask_kd'] = dict(
                type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0
            )
        return losses

    def recorders(self) -> tuple[dict[str, Recorder], dict[str, Recorder]]:
        """See ``CrossReader.recorders``."""
        return (
            dict(boxes=CallRecorder(self.student.roi_head, 'bbox_loss')),
            dict(feats=MethodRecorder(self.teacher, 'extract_feat')),
        )

    def compare(self, student: Record, teacher: Record, losses: set[str]) -> Iterator[Comparison]:
        """See ``CrossReader.compare``."""
        theirs = teacher['feats'][0]
        calls = student['boxes']
        ours = calls[0]['x']
        if self._adapters is not None:
            ours = tuple(self._adapters['neck'](feat) for feat in ours)
        with torch.no_grad():
            their_context = self.context(theirs)
        our_context = self.context(ours)
        for stage, call in enumerate(calls):
            yield from self._compare_stage(
                stage, call, (ours, our_context), (theirs, their_context), losses
            )

    def context(self, feats: tuple[Tensor, ...]) -> dict[str, Any]:
        """Return what the teacher's RoI head computes of the whole image, by argument name."""
        return {}

    def box_forward(self, stage: int, feats: tuple[Tensor, ...], rois: Tensor, **context) -> dict:
        """Run the teacher's box head on (R, 5) boxes of image number and corners."""
        return self.teacher.roi_head._bbox_forward(feats, rois, **context)

    def mask_forward(
        self,
        stage: int,
        feats: tuple[Tensor, ...],
        samples: Sequence[Any],
        results: dict,
        **context: Any,
    ) -> Tensor:
        """Run the teacher's mask head on the positive boxes; return (positives, C, h, w) logits.

        Args:
            stage (int): Not used.
            feats (tuple): Neck features.
            samples (Sequence): Sampling result of each image.
            results (dict): What ``box_forward`` returned for the same features.
            context: What ``context`` returned for them.
        """
        head = self.teacher.roi_head
        if not head.share_roi_extractor:
            rois = bbox2roi([sample.pos_priors for sample in samples])
            return head._mask_forward(feats, rois)['mask_preds']
        pooled = results['bbox_feats']
        positive = torch.cat(
            [
                torch.arange(len(sample.priors), device=pooled.device) < len(sample.pos_priors)
                for sample in samples
            ]
        )
        return head._mask_forward(feats, pos_inds=positive, bbox_feats=pooled)['mask_preds']

    def _compare_stage(
        self, stage: int, call: Call, ours: tuple, theirs: tuple, losses: set[str]
    ) -> Iterator[Comparison]:
        samples = call['sampling_results']
        prefix = f's{stage}.' if len(self._stages(self.teacher)) > 1 else ''
        rois = bbox2roi([sample.priors for sample in samples])
        (feats, context), (their_feats, their_context) = ours, theirs
        with torch.no_grad():
            wanted = self.box_forward(stage, their_feats, rois, **their_context)
        cross = self.box_forward(stage, feats, rois, **context)
        count = sum(
            max(len(sample.pos_priors), 1) + max(len(sample.neg_priors), 1) for sample in samples
        )
        yield Comparison(
            'loss_cls_kd',
            cross['cls_score'],
            wanted['cls_score'],
            avg_factor=rank_mean(count, rois),
            prefix=prefix,
        )
        head = self._stages(self.teacher)[stage][1]
        yield self._compare_boxes(head, cross, wanted, rois, prefix)
        if 'loss_mask_kd' in losses:
            with torch.no_grad():
                targets = self.mask_forward(stage, their_feats, samples, wanted, **their_context)
            masks = self.mask_forward(stage, feats, samples, cross, **context)
            yield self._compare_masks(masks, targets, samples, len(rois), prefix)

    def _compare_boxes(
        self, head: Any, cross: dict, wanted: dict, rois: Tensor, prefix: str
    ) -> Comparison:
        """Compare the box of the teacher's most probable foreground class."""
        scores = wanted['cls_score'].float().softmax(dim=-1)[:, :-1]
        weight, best = scores.max(dim=1)
        student, teacher = (
            self._class_rows(results['bbox_pred'].float(), best) for results in (cross, wanted)
        )
        total = rank_mean(weight.sum(), weight).clamp(min=_TINY)
        if not self.decoded:
            return Comparison(
                'loss_reg_kd',
                student,
                teacher,
                weight.unsqueeze(1).expand(-1, 4),
                4 * total,
                prefix,
            )
        student, teacher = (
            head.bbox_coder.decode(rois[:, 1:], deltas) for deltas in (student, teacher)
        )
        return Comparison('loss_reg_kd', student, teacher, weight, total, prefix)

    @staticmethod
    def _class_rows(deltas: Tensor, best: Tensor) -> Tensor:
        """Return the (R, 4) deltas of a class of each box; of the only one if there is one."""
        if deltas.shape[1] == 4:
            return deltas
        rows = torch.arange(len(deltas), device=deltas.device)
        return deltas.view(len(deltas), -1, 4)[rows, best]

    def _compare_masks(
        self, masks: Tensor, targets: Tensor, samples: Sequence[Any], boxes: int, prefix: str
    ) -> Comparison:
        """Compare (positives, C, h, w) mask logits."""
        if self.all_masks:
            count: float | Tensor = rank_mean(boxes, masks)
        else:
            labels = torch.cat([sample.pos_gt_labels for sample in samples])
            if masks.shape[1] > 1:
                rows = torch.arange(len(masks), device=masks.device)
                masks, targets = masks[rows, labels], targets[rows, labels]
            count = rank_mean(masks.numel(), masks).clamp(min=1)
        return Comparison(
            'loss_mask_kd', masks.flatten(1), targets.flatten(1), avg_factor=count, prefix=prefix
        )
