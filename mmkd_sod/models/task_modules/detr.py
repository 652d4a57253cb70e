"""CrossKD of DETR and its relatives: encoder memory goes through the teacher's decoder layers."""

from collections.abc import Iterator
from typing import Any

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import CallRecorder, MethodRecorder, Record, Recorder
from mmkd_sod.registry import CROSS_READERS

from .base import rank_mean
from .crossing import Comparison, CrossReader, Losses, check_choice, check_equal

_TINY = torch.finfo(torch.float32).tiny


def query_losses() -> Losses:
    """Return the default losses on queries: the released variant with GIoU on all terms."""
    return dict(
        loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0),
        loss_reg_kd=dict(type='mmdet.L1Loss', loss_weight=1.0),
        loss_iou_kd=dict(type='mmdet.GIoULoss', loss_weight=1.0),
    )


def compare_queries(
    cross: tuple[Tensor, Tensor],
    wanted: tuple[Tensor, Tensor],
    sizes: Tensor,
    prefix: str,
    in_pixels: bool = False,
    softmax: bool = False,
) -> Iterator[Comparison]:
    """Compare every query with itself.

    Args:
        cross (tuple): Class logits (B, Q, C) and boxes (B, Q, 4), normalised (cx, cy, w, h), of the
            cross-head pass.
        wanted (tuple): The same of the teacher.
        sizes (Tensor): (B, 4) width, height, width, height of the images.
        prefix (str): Of the losses' names.
        in_pixels (bool): ``loss_reg_kd`` compares corners in pixels.
        softmax (bool): The last class is background, and scores are a softmax.
    """
    logits, boxes = cross[0].flatten(0, 1), cross[1].flatten(0, 1)
    targets, target_boxes = wanted[0].flatten(0, 1), wanted[1].flatten(0, 1)
    count = rank_mean(len(logits), logits)
    yield Comparison('loss_cls_kd', logits, targets, avg_factor=count, prefix=prefix)
    scores = targets.float().softmax(-1)[:, :-1] if softmax else targets.float().sigmoid()
    weight = scores.amax(dim=1)
    total = 4 * rank_mean_with_gradient(weight.sum()).clamp(min=_TINY)
    pixels, target_pixels = (
        bbox_cxcywh_to_xyxy(found) * sizes.repeat_interleave(cross[0].shape[1], 0)
        for found in (boxes.float(), target_boxes.float())
    )
    rows = weight.unsqueeze(1).expand(-1, 4)
    if in_pixels:
        yield Comparison('loss_reg_kd', pixels, target_pixels, rows, total, prefix)
    else:
        yield Comparison('loss_reg_kd', boxes.float(), target_boxes.float(), rows, total, prefix)
    yield Comparison('loss_iou_kd', pixels, target_pixels, weight, total, prefix)


def rank_mean_with_gradient(value: Tensor) -> Tensor:
    """Average a value over ranks; the gradient is that of this rank's part."""
    return value + (rank_mean(value.detach(), value) - value.detach())


def image_sizes(samples: list, like: Tensor) -> Tensor:
    """Return (B, 4) width, height, width, height of the images."""
    shapes = [sample.img_shape[:2] for sample in samples]
    return like.new_tensor([(w, h, w, h) for h, w in shapes], dtype=torch.float)


@CROSS_READERS.register_module(
    name=['DETRHead', 'ConditionalDETRHead', 'DABDETRHead', 'DeformableDETRHead']
)
class QueryCross(CrossReader):
    """Crosses decoders: every layer of the teacher's decoder attends to the student's memory.

    The layers do not chain: each cross-head output is used for its loss only, and every query is
    compared with the same query of the same layer, without matching. Losses have the prefix
    ``d<layer>.``. Source: the unpublished branch ``deformable-detr`` of CrossKD's release; other
    detectors than Deformable DETR are this project's own.

    Deviations: normalisers are averaged over ranks; the box target gets no gradient.

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
        queries (str): ``'teacher'``, the queries, positions and reference points of the teacher's
            own forward: gradients reach the student's encoder, neck and backbone; numbers of
            queries may differ. ``'student'``, those of the student's decoder, which gets gradients
            too; it needs at least as many layers as the teacher's.
        boxes (str): What ``loss_reg_kd`` compares: ``'normalised'`` (cx, cy, w, h), or corners in
            ``'pixels'``, as the released configs without GIoU.
        detach_targets (bool): Of student queries: False lets a little gradient through the box
            target and its weights, as released.
        adapter (bool): Learn a linear layer from the student's memory to the teacher's width.
    """

    kind = 'query-based'
    compared = 'classes and boxes of every query in every decoder layer'

    def __init__(
        self,
        student: BaseModel,
        teacher: BaseModel,
        queries: str = 'teacher',
        boxes: str = 'normalised',
        detach_targets: bool = True,
        adapter: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, **options)
        check_choice('queries', queries, ('teacher', 'student'))
        check_choice('boxes', boxes, ('normalised', 'pixels'))
        self.of_student, self.in_pixels = queries == 'student', boxes == 'pixels'
        self.detach_targets = detach_targets
        self._check(adapter)
        if adapter:
            layer = nn.Linear(self.student.embed_dims, self.teacher.embed_dims, bias=False)
            self._adapters = nn.ModuleDict(dict(memory=layer))

    @property
    def name(self) -> str:
        """See ``CrossReader.name``."""
        return type(self.student.bbox_head).__name__

    def _check(self, adapter: bool) -> None:
        ours, theirs = self.student, self.teacher
        check_equal('heads', type(ours.bbox_head).__name__, type(theirs.bbox_head).__name__)
        check_equal(
            'classes of the heads',
            ours.bbox_head.cls_out_channels,
            theirs.bbox_head.cls_out_channels,
        )
        check_equal('levels of the encoders', *(self._levels(model) for model in (ours, theirs)))
        if ours.embed_dims != theirs.embed_dims and not adapter:
            raise ConfigError(
                f'CrossKDDistiller: the encoders have {ours.embed_dims} channels (student) and '
                f'{theirs.embed_dims} (teacher); set embed_dims alike, or learn a linear layer '
                'with adapter=True'
            )
        if not self.of_student:
            return
        if ours.embed_dims != theirs.embed_dims:
            raise ConfigError(
                f"CrossKDDistiller: queries='student' needs equal widths, student "
                f"{ours.embed_dims}, teacher {theirs.embed_dims}; use queries='teacher'"
            )
        if len(ours.decoder.layers) < len(theirs.decoder.layers):
            raise ConfigError(
                f"CrossKDDistiller: queries='student', but the student's decoder has "
                f"{len(ours.decoder.layers)} layers and the teacher's "
                f"{len(theirs.decoder.layers)}; use queries='teacher'"
            )

    @staticmethod
    def _levels(model: Any) -> int:
        return getattr(model, 'num_feature_levels', 1)

    def losses(self) -> Losses:
        """See ``CrossReader.losses``."""
        losses = query_losses()
        if not self._sigmoid:
            losses['loss_cls_kd'] = dict(type='mmkd_sod.KDKLDivLoss', tau=1.0, loss_weight=1.0)
        return losses

    @property
    def _sigmoid(self) -> bool:
        return self.teacher.bbox_head.loss_cls.use_sigmoid

    def recorders(self) -> tuple[dict[str, Recorder], dict[str, Recorder]]:
        """See ``CrossReader.recorders``."""
        student: dict[str, Recorder] = dict(
            memory=MethodRecorder(self.student, 'forward_encoder'),
            samples=MethodRecorder(self.student, 'forward_transformer', lambda args, _: args[1]),
        )
        teacher: dict[str, Recorder] = dict(memory=MethodRecorder(self.teacher, 'forward_encoder'))
        owner = student if self.of_student else teacher
        model = self.student if self.of_student else self.teacher
        for number, layer in enumerate(model.decoder.layers):
            owner[f'layer{number}'] = CallRecorder(layer, 'forward')
        owner['head'] = CallRecorder(model.bbox_head, 'forward')
        return student, teacher

    def compare(self, student: Record, teacher: Record, losses: set[str]) -> Iterator[Comparison]:
        """See ``CrossReader.compare``."""
        ours, theirs = (record['memory'][0]['memory'] for record in (student, teacher))
        crossing = ours if self._adapters is None else self._adapters['memory'](ours)
        record, memory = (student, ours) if self.of_student else (teacher, theirs)
        layers = self.teacher.decoder.layers
        calls = [record[f'layer{number}'][0] for number in range(len(layers))]
        states = [
            call.replay(layer.forward, [(memory, crossing)])
            for call, layer in zip(calls, layers, strict=True)
        ]
        head = record['head'][0]
        cross = self._predict(head, states)
        if self.of_student:
            with torch.set_grad_enabled(not self.detach_targets):
                targets = [
                    call.replay(
                        layer.forward, [(memory, theirs), (call['query'], call['query'].detach())]
                    )
                    for call, layer in zip(calls, layers, strict=True)
                ]
                wanted = self._predict(head, targets)
        else:
            wanted = head.result[:2]
        sizes = image_sizes(student['samples'][0], crossing)
        for number in range(len(layers)):
            yield from compare_queries(
                (cross[0][number], cross[1][number]),
                (wanted[0][number], wanted[1][number]),
                sizes,
                f'd{number}.',
                self.in_pixels,
                not self._sigmoid,
            )

    def _predict(self, head: Any, states: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return class logits and boxes of all layers from the outputs of the decoder layers."""
        states = [self._normalise(state) for state in states]
        stacked = torch.stack(states)
        return head.replay(self.teacher.bbox_head.forward, [(head['hidden_states'], stacked)])[:2]

    def _normalise(self, state: Tensor) -> Tensor:
        """Apply what the decoder applies to the output of every layer."""
        for name in ('post_norm', 'norm'):
            norm = self.teacher.decoder._modules.get(name)
            if norm is not None:
                return norm(state)
        return state


@CROSS_READERS.register_module(name=['DINOHead', 'DDQDETRHead'])
class DenoisingCross(QueryCross):
    """Crosses decoders that also train on noisy ground truth: DINO, DDQ.

    The teacher in eval mode has no noisy queries, so only its own queries can cross.
    """

    def _check(self, adapter: bool) -> None:
        if self.of_student:
            raise ConfigError(
                f"CrossKDDistiller: queries='student', but {type(self.student).__name__} adds "
                "denoising queries in training, which the teacher lacks; use queries='teacher'"
            )
        super()._check(adapter)
