"""Cross-head knowledge distillation of dense detectors."""
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.heads import (
    DensePredictions,
    HeadReader,
    align_scale,
    channel_stats,
    find_reader,
)
from mmkd_sod.registry import MODELS

from .base import DenseDistiller, Losses
from .recorders import ForwardRecorder, MethodRecorder


@MODELS.register_module()
class CrossKDDistiller(DenseDistiller):
    """CrossKD: the student's tower features go through the teacher's remaining head.

    Behind block ``i`` of both towers the student's feature is brought to the scale of the
    teacher's (:func:`~mmkd_sod.models.heads.align_scale`) and fed through the rest of the frozen
    teacher's head. These cross-head predictions mimic the teacher's own; the student's detection
    loss is untouched. Source: CrossKD (arXiv 2306.11369). The feature is the block's output behind
    its activation, as in the released program; the paper draws it before.

    Losses: ``loss_cls_kd``, ``loss_reg_kd`` and, where asked for, ``loss_center_kd``, scalars.

    Args:
        reused_teacher_head_idx (int): i, from 0 (the towers' input) to the number of blocks.
        loss_cls_kd (dict): Loss of the classes, ``(student, teacher, weight, avg_factor)``.
        loss_reg_kd (dict): Loss of the boxes: on the bins of GFL (``KDKLDivLoss``), on decoded
            boxes of other heads (mmdet's ``GIoULoss``, ``IoULoss``).
        loss_center_kd (dict, optional): Loss of the centerness at positive anchors; heads with
            centerness only.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: While :meth:`prepare` looks at the pair: unknown heads, an index out of range,
            or levels, strides, classes, box coding or channels at the split that differ.
    """

    needs_student_targets = True

    def __init__(self,
                 reused_teacher_head_idx: int,
                 loss_cls_kd: dict,
                 loss_reg_kd: dict,
                 loss_center_kd: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.idx = reused_teacher_head_idx
        self.loss_cls_kd = MODELS.build(loss_cls_kd)
        self.loss_reg_kd = MODELS.build(loss_reg_kd)
        self.loss_center_kd = None if loss_center_kd is None else MODELS.build(loss_center_kd)

    def prepare(self, student: BaseModel, teacher: BaseModel) -> None:
        """Find the heads' readers, check that they fit and set the recorders."""
        readers = []
        for owner, model in (('student', student), ('teacher', teacher)):
            head = getattr(model, 'bbox_head', None)
            if head is None:
                raise ConfigError(f'CrossKDDistiller: the {owner} {type(model).__name__} has no '
                                  'bbox_head; use a one-stage dense detector')
            readers.append(find_reader(head, owner))
        self._check(*readers)
        self._readers = readers
        reader, teacher_reader = readers
        self._student_tower = self._tower_tap(reader, lambda feat: feat)
        self._teacher_tower = self._tower_tap(teacher_reader, channel_stats)
        self._targets = {
            name: MethodRecorder(reader.head, name) for name in reader.target_methods
        }
        self._teacher_outputs = MethodRecorder(teacher_reader.head, 'forward')
        self.student_taps = (self._student_tower, *self._targets.values())
        self.teacher_taps = (self._teacher_tower, self._teacher_outputs)

    def _check(self, student: HeadReader, teacher: HeadReader) -> None:
        idx = self.idx
        deepest = min(student.depth, teacher.depth)
        if not isinstance(idx, int) or isinstance(idx, bool) or not 0 <= idx <= deepest:
            raise ConfigError(
                f"CrossKDDistiller: reused_teacher_head_idx={idx!r}, but the student's towers have "
                f"{student.depth} blocks and the teacher's {teacher.depth}; choose 0 ... {deepest}")
        if type(student) is not type(teacher):
            raise ConfigError(
                f"CrossKDDistiller: the student's head {student.name} and the teacher's "
                f'{teacher.name} predict different things; use heads of one kind')
        layouts = student.layout(), teacher.layout()
        for name in layouts[0]:
            ours, theirs = (layout[name] for layout in layouts)
            if ours != theirs:
                raise ConfigError(
                    f'CrossKDDistiller: {name} of the heads must agree, student {ours}, teacher '
                    f'{theirs}; change one of the two configs')
        ours, theirs = student.channels(idx), teacher.channels(idx)
        if ours != theirs:
            where, what = ('tower', 'feat_channels') if idx else ('input', 'in_channels')
            raise ConfigError(
                f'CrossKDDistiller: reused_teacher_head_idx={idx} needs equal {where} channels, '
                f'student {ours}, teacher {theirs}; set {what} or '
                f'{"idx=0" if idx else "another idx"}')
        if self.loss_center_kd is not None and not student.has_centerness:
            raise ConfigError(f'CrossKDDistiller: loss_center_kd is given, but {student.name} has '
                              'no centerness; leave it out')

    def _tower_tap(self, reader: HeadReader, keep: Callable[[Tensor], Any]):
        """A recorder that keeps something of every tower feature."""
        if self.idx == 0:  # both towers take the head's input
            return MethodRecorder(
                reader.head, 'forward', lambda args, _: [keep(feat) for feat in args[0]])
        return ForwardRecorder(reader.tower_taps(self.idx), keep)

    def _by_tower(self, tap) -> dict[str, list]:
        """What such a recorder kept: tower name to one item a level."""
        if isinstance(tap, MethodRecorder):
            return dict.fromkeys(self._readers[0].towers, tap.data[0])
        return tap.data

    def _cross_predictions(self) -> DensePredictions:
        """The teacher's head on the student's tower features."""
        _, teacher = self._readers
        relu = teacher.ends_in_relu(self.idx)
        stats = self._by_tower(self._teacher_tower)
        aligned: dict[str, list[Tensor]] = {}
        done: dict[int, list[Tensor]] = {}
        for tower, feats in self._by_tower(self._student_tower).items():
            # At idx 0 both towers share one input, aligned once.
            if id(feats) not in done:
                done[id(feats)] = _align_levels(feats, stats[tower], relu)
            aligned[tower] = done[id(feats)]
        return teacher.flatten(teacher.run_tail(aligned, self.idx))

    def compute_distill_losses(self) -> Losses:
        """Losses of the step whose forwards were just recorded."""
        student, teacher_reader = self._readers
        cross = self._cross_predictions()
        teacher = teacher_reader.flatten(self._teacher_outputs.data[0])
        records = {name: tap.data[0] for name, tap in self._targets.items()}
        targets = student.targets(records, cross)
        confidence = teacher.cls.detach().float().sigmoid().amax(dim=1)
        if targets.label_weights is not None:
            confidence = confidence * (targets.label_weights > 0)
        losses = {
            'loss_cls_kd': self.loss_cls_kd(
                cross.cls, teacher.cls, weight=targets.label_weights,
                avg_factor=targets.avg_factor),
            'loss_reg_kd': student.reg_loss(
                self.loss_reg_kd, cross, teacher, confidence, targets)}
        if self.loss_center_kd is not None:
            losses['loss_center_kd'] = self._center_loss(cross, teacher, targets)
        return losses

    def _center_loss(self, cross: DensePredictions, teacher: DensePredictions, targets) -> Tensor:
        rows = targets.positive.nonzero().squeeze(-1)
        if len(rows) == 0:
            return cross.center.sum() * 0
        return self.loss_center_kd(
            cross.center[rows], teacher.center[rows].sigmoid(), avg_factor=targets.avg_factor)


def _align_levels(feats: Sequence[Tensor], stats: Sequence[tuple[Tensor, Tensor]],
                  relu: bool) -> list[Tensor]:
    """Align the features of every level."""
    return [align_scale(feat, stat, relu) for feat, stat in zip(feats, stats, strict=True)]
