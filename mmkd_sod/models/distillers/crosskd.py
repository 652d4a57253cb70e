"""Cross-head knowledge distillation of detectors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import Record
from mmkd_sod.models.task_modules import CrossReader, find_cross_reader
from mmkd_sod.registry import MODELS

from .averaged import AveragedTeachers
from .base import DenseDistiller, Losses, Recorders, Requirements

# What a detector lacks that has no loss of this name.
_NOUNS = dict(
    loss_center_kd='centerness',
    loss_mask_kd='masks to compare',
    loss_iou_kd='boxes of queries',
    loss_conf_kd='confidence of its own',
    loss_xy_kd='separate centres of boxes',
    loss_wh_kd='separate sizes of boxes',
)


@MODELS.register_module()
class CrossKDDistiller(DenseDistiller):
    """CrossKD: features of the student go through the rest of the frozen teacher.

    The resulting cross-head predictions mimic the teacher's own predictions; the student's
    detection loss is unchanged. What crosses depends on the kind of detector:

    - dense heads: tower features, through the teacher's remaining layers (``DenseCross``);
    - two-stage: neck features, pooled on the student's sampled boxes, through the teacher's RoI
      head, masks included (``TwoStageCross``, ``CascadeCross``);
    - queries: encoder memory, through the teacher's decoder layers (``QueryCross``);
    - YOLOv3: neck features, through the teacher's whole head (``YOLOV3Cross``).

    Source: CrossKD (arXiv 2306.11369) and, for the kinds that are not dense, the unpublished
    branches of its release. docs/crosskd.md gives the formulas of each kind and the choices that
    are this project's own; docs/crosskd_heads.md lists every detector.

    Losses: those of the kind, scalars. A loss that is None has the default of the head; a loss that
    is False is left out. ``loss_center_kd`` has a default only where no loss is given.

    Args:
        reused_teacher_head_idx (int, optional): i, from 0 (the towers' input) to the number of
            blocks: the feature enters the teacher's towers after this many blocks. Dense heads.
        loss_cls_kd (dict | False, optional): Classification loss, ``(student, teacher, weight,
            avg_factor)``.
        loss_reg_kd (dict | False, optional): Regression loss: on the bins of GFL (``KDKLDivLoss``),
            on decoded boxes of other dense heads (mmdet's ``GIoULoss``, ``IoULoss``).
        loss_center_kd (dict | False, optional): Loss of the centerness (or IoU branch) at positive
            anchors, for heads that have one.
        student_head_idx (int, optional): The feature leaves the student's towers after this many
            blocks. Default: ``reused_teacher_head_idx``; another number is for towers of different
            depth.
        adapter (bool): Learn a 1x1 convolution (no bias), shared by all levels, from the student's
            channels at the split to the teacher's; of dense heads one per tower. It is trained with
            the student and saved in checkpoints under ``distiller.``. Default: False, different
            channels are refused.
        class_mapping (Sequence[int | None], optional): The teacher's class index for each class of
            the student; None for a class that the teacher does not have, which is left out of the
            classification term. Default: classes correspond by index, and the counts must agree.
        init_cfg (dict, optional): mmengine's initialisation config.
        mask_padding (bool): Leave the padding of a batch out of all terms and of the statistics of
            the alignment. Dense heads. Default: False, as in the released code: padding counts for
            heads of points, while anchors on padding have weight 0.
        options: Other losses and options of the kind, for instance ``loss_mask_kd`` and ``masks``
            of two-stage detectors, ``loss_iou_kd`` and ``queries`` of DETR.

    Raises:
        ConfigError: In ``prepare``: a pair that does not fit or an option that the kind does not
            have; the message names both sides.
    """

    requirements = Requirements(student_targets=True, student_loss=True)

    def __init__(
        self,
        reused_teacher_head_idx: int | None = None,
        loss_cls_kd: dict | bool | None = None,
        loss_reg_kd: dict | bool | None = None,
        loss_center_kd: dict | bool | None = None,
        student_head_idx: int | None = None,
        adapter: bool = False,
        class_mapping: Sequence[int | None] | None = None,
        init_cfg: dict | None = None,
        mask_padding: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(init_cfg)
        if class_mapping is not None and not isinstance(class_mapping, Sequence):
            raise ConfigError(
                f'CrossKDDistiller: class_mapping={class_mapping!r} must be a list '
                "of the teacher's class index for each class of the student"
            )
        given: dict[str, Any] = dict(
            reused_teacher_head_idx=reused_teacher_head_idx,
            student_head_idx=student_head_idx,
            adapter=adapter or None,
            mask_padding=mask_padding or None,
            class_mapping=None if class_mapping is None else list(class_mapping),
            loss_cls_kd=loss_cls_kd,
            loss_reg_kd=loss_reg_kd,
            loss_center_kd=loss_center_kd,
            **options,
        )
        given = {name: value for name, value in given.items() if value is not None}
        self._loss_cfgs = {name: cfg for name, cfg in given.items() if name.startswith('loss_')}
        self._options = {name: given[name] for name in given.keys() - self._loss_cfgs.keys()}
        for name, cfg in self._loss_cfgs.items():
            if cfg is not False:
                self.add_module(name, MODELS.build(cfg))
        self.adapters: nn.ModuleDict | None = None

    def prepare(self, student: BaseModel, teacher: BaseModel) -> Recorders:
        """Find the reader of the pair, check that both fit, and build losses and adapters."""
        if isinstance(teacher, AveragedTeachers):
            raise ConfigError(
                'CrossKDDistiller: the teacher is the average of several teachers, '
                'and cross-head predictions need the layers of one; name one teacher'
            )
        # Adapters are random; building them must not advance torch's random state.
        with torch.random.fork_rng(devices=[]):
            self.reader = find_cross_reader(student, teacher, **self._options)
        self._complete_losses(self.reader)
        self.adapters = self.reader.adapters()
        self.requirements = replace(self.requirements, features_only=self.reader.features_only)
        return Recorders(*self.reader.recorders())

    def _complete_losses(self, reader: CrossReader) -> None:
        """Refuse losses that the pair does not have, and add the defaults of those not given."""
        default, optional = reader.losses(), reader.optional_losses()
        for name in self._loss_cfgs:
            if name not in {*default, *optional}:
                raise ConfigError(
                    f'CrossKDDistiller: {name} is given, but {reader.name} has no '
                    f'{_NOUNS.get(name, "such term")}; leave it out'
                )
        if not self._loss_cfgs:
            default = default | {name: cfg for name, cfg in optional.items() if cfg is not None}
        for name, cfg in default.items():
            if name not in self._loss_cfgs:
                self.add_module(name, MODELS.build(cfg))

    def compute_losses(self, student: Record, teacher: Record) -> Losses:
        """See ``DenseDistiller.compute_losses``."""
        losses: Losses = {}
        modules = {name: loss for name, loss in self.named_children() if name.startswith('loss_')}
        for pair in self.reader.compare(student, teacher, set(modules)):
            if pair.loss in modules:
                # With nothing to compare, a zero that keeps the graph complete.
                losses[pair.prefix + pair.loss] = (
                    modules[pair.loss](
                        pair.student, pair.teacher, weight=pair.weight, avg_factor=pair.avg_factor
                    )
                    if len(pair.student)
                    else pair.student.sum() * 0
                )
        return losses
