"""Cross-head knowledge distillation of dense detectors."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.submodules import submodule
from mmkd_sod.models.task_modules import (
    DensePredictions,
    DenseTargets,
    HeadReader,
    align_scale,
    channel_stats,
    find_reader,
)
from mmkd_sod.registry import MODELS

from .averaged import AveragedTeachers
from .base import DenseDistiller, Losses, Recorders, Requirements
from .crosskd_pair import check_class_mapping, check_pair
from .recorders import ForwardRecorder, MethodRecorder, Record, Recorder


@MODELS.register_module()
class CrossKDDistiller(DenseDistiller):
    """CrossKD: the student's tower features go through the teacher's remaining head.

    The output of block ``i`` of both student towers is aligned to the scale of the teacher's
    (``mmkd_sod.models.task_modules.align_scale``) and passed through the remaining layers of
    the frozen teacher's head. These cross-head predictions mimic the teacher's own predictions; the
    student's detection loss is unchanged. Source: CrossKD (arXiv 2306.11369). The feature is the
    block's output after its activation, as in the released program; the paper draws it before.
    Heads beyond the paper's four (GFL, RetinaNet, ATSS, FCOS), ``student_head_idx``, ``adapter``
    and ``class_mapping`` are this project's own; docs/crosskd_heads.md lists what each head
    compares.

    Losses: ``loss_cls_kd``, ``loss_reg_kd`` and, if configured, ``loss_center_kd``, scalars.

    Args:
        reused_teacher_head_idx (int): i, from 0 (the towers' input) to the number of blocks: the
            feature enters the teacher's towers after this many blocks.
        loss_cls_kd (dict): Classification loss, ``(student, teacher, weight, avg_factor)``.
        loss_reg_kd (dict): Regression loss: on the bins of GFL (``KDKLDivLoss``), on decoded boxes
            of other heads (mmdet's ``GIoULoss``, ``IoULoss``).
        loss_center_kd (dict, optional): Loss of the centerness (or IoU branch) at positive anchors,
            for heads that have one.
        student_head_idx (int, optional): The feature leaves the student's towers after this many
            blocks. Default: ``reused_teacher_head_idx``; another number is for towers of different
            depth.
        adapter (bool): Learn a 1x1 convolution (no bias) per tower, shared by all levels, from the
            student's channels at the split to the teacher's, before the alignment. It is trained
            with the student and saved in checkpoints under ``distiller.``. Default: False,
            different channels are refused.
        class_mapping (Sequence[int | None], optional): The teacher's class index for each class of
            the student; None for a class that the teacher does not have, which is left out of the
            classification term. Default: classes correspond by index, and the counts must agree.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: In ``prepare``: unknown heads, an index out of range, or levels, strides,
            classes, box coding or channels at the split that differ.
    """

    requirements = Requirements(student_targets=True, student_loss=True)

    def __init__(
        self,
        reused_teacher_head_idx: int,
        loss_cls_kd: dict,
        loss_reg_kd: dict,
        loss_center_kd: dict | None = None,
        student_head_idx: int | None = None,
        adapter: bool = False,
        class_mapping: Sequence[int | None] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.idx = reused_teacher_head_idx
        self.student_idx = self.idx if student_head_idx is None else student_head_idx
        self.loss_cls_kd = MODELS.build(loss_cls_kd)
        self.loss_reg_kd = MODELS.build(loss_reg_kd)
        self.loss_center_kd: Any = None if loss_center_kd is None else MODELS.build(loss_center_kd)
        if class_mapping is not None and not isinstance(class_mapping, Sequence):
            raise ConfigError(
                f'CrossKDDistiller: class_mapping={class_mapping!r} must be a list '
                "of the teacher's class index for each class of the student"
            )
        self.class_mapping = None if class_mapping is None else list(class_mapping)
        self._use_adapter = adapter
        self.adapters: nn.ModuleDict | None = None

    def prepare(self, student: BaseModel, teacher: BaseModel) -> Recorders:
        """Find the heads' readers, check that they fit and build the adapters."""
        if isinstance(teacher, AveragedTeachers):
            raise ConfigError(
                'CrossKDDistiller: the teacher is the average of several teachers, '
                'and cross-head predictions need the layers of one; name one teacher'
            )
        readers = []
        for owner, model in (('student', student), ('teacher', teacher)):
            head = submodule(model, 'bbox_head')
            if head is None:
                raise ConfigError(
                    f'CrossKDDistiller: the {owner} {type(model).__name__} has no '
                    'bbox_head; use a one-stage dense detector'
                )
            readers.append(find_reader(head, owner))
        reader, teacher_reader = readers
        check_pair(
            reader,
            teacher_reader,
            self.student_idx,
            self.idx,
            adapter=self._use_adapter,
            mapped=self.class_mapping is not None,
            centerness=self.loss_center_kd is not None,
        )
        self._readers = readers
        self._classes = check_class_mapping(self.class_mapping, *readers)
        if self._use_adapter:
            self.adapters = self._build_adapters(reader, teacher_reader)
        targets = {
            name: MethodRecorder(owner, method, keep)
            for name, (owner, method, keep) in reader.target_sources().items()
        }
        return Recorders(
            student=dict(
                towers=_tower_recorder(reader, self.student_idx, lambda feat: feat), **targets
            ),
            teacher=dict(
                towers=_tower_recorder(teacher_reader, self.idx, channel_stats),
                outputs=MethodRecorder(teacher_reader.head, 'forward'),
            ),
        )

    def _build_adapters(self, student: HeadReader, teacher: HeadReader) -> nn.ModuleDict:
        """Build a 1x1 convolution per tower without advancing torch's random state."""
        ours, theirs = student.channels(self.student_idx), teacher.channels(self.idx)
        with torch.random.fork_rng(devices=[]):
            return nn.ModuleDict(
                {
                    # The standardisation that follows would cancel a bias.
                    name: nn.Conv2d(ours[name], theirs[name], 1, bias=False)
                    for name in theirs
                }
            )

    def _cross_predictions(self, student_towers, teacher_towers) -> DensePredictions:
        """Predict with the teacher's head on the student's tower features."""
        reader, teacher = self._readers
        relu = teacher.ends_in_relu(self.idx)
        stats = _by_stream(teacher, teacher_towers)
        aligned: dict[str, list[Tensor]] = {}
        done: dict[tuple[int, int], list[Tensor]] = {}
        for name, feats in _by_stream(reader, student_towers).items():
            if self.adapters is not None:
                feats = [self.adapters[name](feat) for feat in feats]
                aligned[name] = _align_levels(feats, stats[name], relu)
                continue
            # At idx 0 both towers share one input, aligned once.
            key = id(feats), id(stats[name])
            if key not in done:
                done[key] = _align_levels(feats, stats[name], relu)
            aligned[name] = done[key]
        return teacher.flatten(teacher.run_tail(aligned, self.idx))

    def compute_losses(self, student: Record, teacher: Record) -> Losses:
        """See ``DenseDistiller.compute_losses``."""
        reader, teacher_reader = self._readers
        cross = self._cross_predictions(student['towers'], teacher['towers'])
        own = teacher_reader.flatten(teacher['outputs'][0])
        targets = reader.targets(student, cross)
        if self._classes is not None:
            self._select_classes(self._classes, cross, own, targets)
        confidence = own.cls.detach().float().sigmoid().amax(dim=1)
        counted = targets.counted
        if counted is not None:
            confidence = confidence * counted
        losses = {
            'loss_cls_kd': self.loss_cls_kd(
                cross.cls, own.cls, weight=targets.label_weights, avg_factor=targets.avg_factor
            ),
            'loss_reg_kd': reader.reg_loss(self.loss_reg_kd, cross, own, confidence, targets),
        }
        if self.loss_center_kd is not None:
            losses['loss_center_kd'] = self._center_loss(cross, own, targets)
        return losses

    @staticmethod
    def _select_classes(
        classes: tuple[list, list],
        cross: DensePredictions,
        teacher: DensePredictions,
        targets: DenseTargets,
    ) -> None:
        """Keep the classes that both models have, in the student's order."""
        ours, theirs = classes
        cross.cls, teacher.cls = cross.cls[:, theirs], teacher.cls[:, theirs]
        weights = targets.label_weights
        if weights is not None and weights.dim() == 2:
            targets.label_weights = weights[:, ours]

    def _center_loss(
        self, cross: DensePredictions, teacher: DensePredictions, targets: DenseTargets
    ) -> Tensor:
        # A pair without such a branch was refused in `prepare`.
        ours, theirs = cast(Tensor, cross.center), cast(Tensor, teacher.center)
        rows = cast(Tensor, targets.positive).nonzero().squeeze(-1)
        if len(rows) == 0:
            return ours.sum() * 0
        return self.loss_center_kd(
            ours[rows], theirs[rows].sigmoid(), avg_factor=targets.box_avg_factor
        )


def _tower_recorder(reader: HeadReader, idx: int, keep: Callable[[Tensor], Any]) -> Recorder:
    """Return a recorder that applies ``keep`` to every tower feature at the split."""
    if idx == 0:  # the input of the head is the input of all towers
        return MethodRecorder(
            reader.head, 'forward', lambda args, _: [keep(feat) for feat in args[0]]
        )
    return ForwardRecorder(reader.tower_sources(idx), keep)


def _by_stream(reader: HeadReader, kept: list | dict[str, list]) -> dict[str, list]:
    """Sort what such a recorder kept: stream to one item per level."""
    if isinstance(kept, list):
        return dict.fromkeys(reader.streams(0), kept[0])
    return reader.collect(kept)


def _align_levels(
    feats: Sequence[Tensor], stats: Sequence[tuple[Tensor, Tensor]], relu: bool
) -> list[Tensor]:
    """Align the features of every level."""
    return [align_scale(feat, stat, relu) for feat, stat in zip(feats, stats, strict=True)]
