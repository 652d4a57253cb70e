"""CrossKD of MaskFormer and Mask2Former: the pixel decoder's maps meet the teacher's queries."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import CallRecorder, MethodRecorder, Record, Recorder
from mmkd_sod.registry import CROSS_READERS

from .base import rank_mean
from .crossing import Comparison, CrossReader, Losses, check_equal

_TINY = torch.finfo(torch.float32).tiny


class _Given(nn.Module):
    """Replaces a pixel decoder: ignores its inputs and returns given maps."""

    def __init__(self, maps: Any) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, *_: Any) -> Any:
        """Return the maps."""
        return self.maps


@CROSS_READERS.register_module(name=['MaskFormerHead', 'Mask2FormerHead'])
class MaskFormerCross(CrossReader):
    """Crosses mask transformers: the teacher's decoder runs on the student's pixel decoder.

    Queries start as the teacher's learned ones and pass all its layers; every query of every layer
    is compared with itself: class logits, background included, and mask logits, weighted by the
    teacher's highest foreground probability and averaged over pixels. Losses have the prefix
    ``d<layer>.``, with equal weights that add up to that of one layer. A choice of this project;
    the release has no such detector.

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
    """

    kind = 'query-based'
    compared = 'classes and masks of every query in every decoder layer'

    def __init__(self, student: BaseModel, teacher: BaseModel, **options: Any) -> None:
        super().__init__(student, teacher, **options)
        ours, theirs = self.student.panoptic_head, self.teacher.panoptic_head
        check_equal('heads', type(ours).__name__, type(theirs).__name__)
        check_equal('classes of the heads', ours.num_classes, theirs.num_classes)
        widths = [head.mask_embed[-1].out_features for head in (ours, theirs)]
        levels = [getattr(head, 'num_transformer_feat_level', 1) for head in (ours, theirs)]
        check_equal('levels of the pixel decoders', *levels)
        if widths[0] != widths[1]:
            raise ConfigError(
                f'CrossKDDistiller: the pixel decoders have {widths[0]} channels (student) and '
                f'{widths[1]} (teacher); set out_channels and feat_channels alike'
            )

    @property
    def name(self) -> str:
        """See ``CrossReader.name``."""
        return type(self.student.panoptic_head).__name__

    def losses(self) -> Losses:
        """See ``CrossReader.losses``."""
        return dict(
            loss_cls_kd=dict(type='mmkd_sod.KDKLDivLoss', tau=1.0, loss_weight=1.0),
            loss_mask_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0),
        )

    def recorders(self) -> tuple[dict[str, Recorder], dict[str, Recorder]]:
        """See ``CrossReader.recorders``."""
        return (
            dict(maps=MethodRecorder(self.student.panoptic_head.pixel_decoder, 'forward')),
            dict(head=CallRecorder(self.teacher.panoptic_head, 'forward')),
        )

    def compare(self, student: Record, teacher: Record, losses: set[str]) -> Iterator[Comparison]:
        """See ``CrossReader.compare``."""
        head, call = self.teacher.panoptic_head, teacher['head'][0]
        original = head.pixel_decoder
        head.pixel_decoder = _Given(student['maps'][0])
        try:
            cross = call.replay(head.forward)
        finally:
            head.pixel_decoder = original
        layers = len(call.result[0])
        for number, (logits, masks, targets, target_masks) in enumerate(
            zip(*cross, *call.result, strict=True)
        ):
            yield from _compare_layer((logits, masks), (targets, target_masks), number, layers)


def _compare_layer(
    cross: tuple[Tensor, Tensor], wanted: tuple[Tensor, Tensor], number: int, layers: int
) -> Iterator[Comparison]:
    """Compare class logits (B, Q, C + 1) and mask logits (B, Q, h, w) of one layer."""
    (logits, masks), (targets, target_masks) = (
        tuple(part.flatten(0, 1) for part in pair) for pair in (cross, wanted)
    )
    prefix = f'd{number}.'
    count = rank_mean(layers * len(logits), logits)
    yield Comparison('loss_cls_kd', logits, targets, avg_factor=count, prefix=prefix)
    weight = targets.float().softmax(-1)[:, :-1].amax(dim=1)
    pixels = masks[0].numel()
    total = layers * pixels * rank_mean(weight.sum(), weight).clamp(min=_TINY)
    yield Comparison(
        'loss_mask_kd', masks.flatten(1), target_masks.flatten(1), weight, total, prefix
    )
