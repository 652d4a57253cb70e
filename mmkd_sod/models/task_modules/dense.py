"""CrossKD of dense heads: the student's tower features go through the rest of the teacher's."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.models.recorders import ForwardRecorder, MethodRecorder, Record, Recorder
from mmkd_sod.models.valid_region import (
    Fractions,
    gather_valid,
    record_fractions,
    scatter_valid,
    valid_mask,
    valid_rows,
)

from .alignment import align_streams, channel_stats
from .base import DensePredictions, DenseTargets, HeadReader
from .crossing import Comparison, CrossReader, Losses
from .dense_pair import check_class_mapping, check_pair
from .lookup import find_reader

_CENTER = dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)


class DenseCross(CrossReader):
    """Crosses dense heads: towers are split after ``idx`` blocks (arXiv 2306.11369).

    The output of block ``idx`` of both student towers is aligned to the scale of the teacher's
    (``align_scale``) and passed through the remaining layers of the teacher's head. ``HeadReader``
    of the head states what is compared.

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
        reused_teacher_head_idx (int, optional): Blocks of the teacher's towers that are skipped.
        student_head_idx (int, optional): Blocks of the student's towers before the split.
        adapter (bool): Learn a 1x1 convolution per tower for different channels.
        class_mapping (Sequence, optional): The teacher's class index for each of the student's.
        mask_padding (bool): Leave the padding of a batch out of all terms and of the statistics of
            the alignment.
    """

    kind = 'dense'
    compared = 'classes; boxes'

    def __init__(
        self,
        student: BaseModel,
        teacher: BaseModel,
        reused_teacher_head_idx: int | None = None,
        student_head_idx: int | None = None,
        adapter: bool = False,
        class_mapping: Sequence[int | None] | None = None,
        mask_padding: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, **options)
        self.mask_padding = mask_padding
        self.readers = [
            find_reader(model.bbox_head, owner)
            for owner, model in (('student', student), ('teacher', teacher))
        ]
        ours, theirs = self.readers
        idx = reused_teacher_head_idx
        if idx is None:
            idx = min(ours.default_idx, theirs.default_idx)
        self.idx = idx
        self.student_idx = idx if student_head_idx is None else student_head_idx
        check_pair(
            ours,
            theirs,
            self.student_idx,
            self.idx,
            adapter=adapter,
            mapped=class_mapping is not None,
        )
        self.classes = check_class_mapping(class_mapping, ours, theirs)
        # The same on the device of the predictions.
        self._columns: list[Tensor] | None = None
        self._adapters = self._build_adapters() if adapter else None

    @property
    def name(self) -> str:
        """See ``CrossReader.name``."""
        return self.readers[0].name

    def losses(self) -> Losses:
        """See ``CrossReader.losses``; the weights of the paper where it has the head."""
        reader = self.readers[0]
        quality = dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=reader.cls_weight)
        return dict(loss_cls_kd=quality, loss_reg_kd=dict(reader.box_loss))

    def optional_losses(self) -> dict[str, dict | None]:
        """See ``CrossReader.optional_losses``."""
        reader = self.readers[0]
        if not reader.has_centerness:
            return {}
        return dict(loss_center_kd=dict(_CENTER) if reader.center_by_default else None)

    def _build_adapters(self) -> nn.ModuleDict:
        ours, theirs = (
            self.readers[0].channels(self.student_idx),
            self.readers[1].channels(self.idx),
        )
        # The standardisation that follows would cancel a bias.
        return nn.ModuleDict(
            {name: nn.Conv2d(ours[name], theirs[name], 1, bias=False) for name in theirs}
        )

    def recorders(self) -> tuple[dict[str, Recorder], dict[str, Recorder]]:
        """See ``CrossReader.recorders``."""
        reader, teacher = self.readers
        targets: dict[str, Recorder] = {
            name: MethodRecorder(owner, method, keep)
            for name, (owner, method, keep) in reader.target_sources().items()
        }
        if self.mask_padding:
            targets['fractions'] = record_fractions(self.student)
        # The statistics of a part of the teacher's maps need the maps themselves.
        keep = _unchanged if self.mask_padding else channel_stats
        return (
            dict(towers=_tower_recorder(reader, self.student_idx, _unchanged), **targets),
            dict(
                towers=_tower_recorder(teacher, self.idx, keep),
                outputs=MethodRecorder(teacher.head, 'forward'),
            ),
        )

    def _cross_predictions(
        self, student_towers, teacher_towers, fractions: Fractions | None
    ) -> DensePredictions:
        """Predict with the teacher's head on the student's tower features."""
        reader, teacher = self.readers
        relu = teacher.ends_in_relu(self.idx)
        stats = _by_stream(teacher, teacher_towers)
        feats = _by_stream(reader, student_towers)
        # CondInst's teacher runs its head a second time.
        stats = {name: found[: len(feats[name])] for name, found in stats.items()}
        if self._adapters is not None:
            feats = {
                name: [self._adapters[name](feat) for feat in levels]
                for name, levels in feats.items()
            }
        if fractions is None:
            aligned = align_streams(feats, stats, relu)
        else:
            aligned = _align_valid(feats, stats, relu, fractions)
        return teacher.flatten(teacher.run_tail(aligned, self.idx))

    def compare(self, student: Record, teacher: Record, losses: set[str]) -> Iterator[Comparison]:
        """See ``CrossReader.compare``."""
        reader, teacher_reader = self.readers
        fractions = student['fractions'][-1] if self.mask_padding else None
        cross = self._cross_predictions(student['towers'], teacher['towers'], fractions)
        own = teacher_reader.flatten(teacher['outputs'][0])
        targets = reader.targets(student, cross)
        if fractions is not None:
            targets.leave_out(~valid_rows(fractions, cross.levels, cross.cls))
        if self.classes is not None:
            self._select_classes(cross, own, targets)
        confidence = own.cls.detach().float().sigmoid().amax(dim=1)
        counted = targets.counted
        if counted is not None:
            confidence = confidence * counted
        yield Comparison(
            'loss_cls_kd', cross.cls, own.cls, targets.label_weights, targets.avg_factor
        )
        yield reader.compare_reg(cross, own, confidence, targets)
        if 'loss_center_kd' in losses:
            yield self._compare_centers(cross, own, targets)

    def _select_classes(
        self, cross: DensePredictions, teacher: DensePredictions, targets: DenseTargets
    ) -> None:
        """Keep the classes that both models have, in the student's order."""
        if self._columns is None or self._columns[0].device != cross.cls.device:
            self._columns = [
                torch.tensor(part, device=cross.cls.device) for part in self.classes or ()
            ]
        ours, theirs = self._columns
        cross.cls, teacher.cls = cross.cls[:, theirs], teacher.cls[:, theirs]
        weights = targets.label_weights
        if weights is not None and weights.dim() == 2:
            targets.label_weights = weights[:, ours]

    @staticmethod
    def _compare_centers(
        cross: DensePredictions, teacher: DensePredictions, targets: DenseTargets
    ) -> Comparison:
        # A pair without such a branch was refused when the losses were configured.
        ours, theirs = cast(Tensor, cross.center), cast(Tensor, teacher.center)
        # Weights instead of selected rows, for whose number the host would wait.
        return Comparison(
            'loss_center_kd',
            ours,
            theirs.sigmoid(),
            cast(Tensor, targets.positive).float(),
            cast(Tensor, targets.box_avg_factor),
        )


def _unchanged(feat: Tensor) -> Tensor:
    return feat


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


def _align_valid(
    feats: dict[str, list[Tensor]],
    teacher: dict[str, list[Tensor]],
    relu: bool,
    fractions: Fractions,
) -> dict[str, list[Tensor]]:
    """Align the features outside of padding, given the teacher's features."""
    masks = {name: [valid_mask(fractions, x) for x in levels] for name, levels in feats.items()}
    inside = {
        name: [gather_valid(x, mask) for x, mask in zip(levels, masks[name], strict=True)]
        for name, levels in feats.items()
    }
    stats = {
        name: [channel_stats(gather_valid(x, valid_mask(fractions, x))) for x in levels]
        for name, levels in teacher.items()
    }
    return {
        name: [scatter_valid(x, mask) for x, mask in zip(levels, masks[name], strict=True)]
        for name, levels in align_streams(inside, stats, relu).items()
    }
