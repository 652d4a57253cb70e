"""CrossKD of YOLOv3: neck features go through the teacher's whole head."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.models.recorders import CallRecorder, MethodRecorder, Record, Recorder
from mmkd_sod.registry import CROSS_READERS

from .alignment import align_scale, channel_stats
from .base import flatten_levels
from .crossing import Comparison, CrossReader, Losses, check_equal, check_necks


@CROSS_READERS.register_module(name='YOLOV3Head')
class YOLOV3Cross(CrossReader):
    """Crosses YOLOv3 heads, which have one convolution per level before the predictions.

    The student's neck features are aligned to the scale of the teacher's and pass through the
    teacher's whole head in eval mode. All anchors are compared, weighted by the teacher's
    confidence; the confidence itself wherever the student's assigner does not ignore the anchor.
    All terms are sums, divided by nothing, like YOLOv3's own. Gradients reach neck and backbone.
    Source: the unpublished branch ``yolo`` of CrossKD's release.

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
        adapter (bool): Learn a 1x1 convolution per level for different neck channels.
    """

    kind = 'YOLOv3'
    compared = 'classes, confidence, centres and sizes of every anchor'

    def __init__(
        self, student: BaseModel, teacher: BaseModel, adapter: bool = False, **options: Any
    ) -> None:
        super().__init__(student, teacher, **options)
        ours, theirs = self.student.bbox_head, self.teacher.bbox_head
        check_equal('classes of the heads', ours.num_classes, theirs.num_classes)
        check_equal('strides of the heads', *(list(h.featmap_strides) for h in (ours, theirs)))
        check_equal(
            'anchors of the heads',
            *(
                [level.tolist() for level in head.prior_generator.base_anchors]
                for head in (ours, theirs)
            ),
        )
        widths = list(ours.in_channels), list(theirs.in_channels)
        check_necks(widths[0], widths[1], adapter)
        if adapter:
            self._adapters = nn.ModuleDict(
                {
                    f'level{number}': nn.Conv2d(*pair, 1, bias=False)
                    for number, pair in enumerate(zip(*widths, strict=True))
                }
            )

    @property
    def name(self) -> str:
        """See ``CrossReader.name``."""
        return type(self.student.bbox_head).__name__

    def losses(self) -> Losses:
        """See ``CrossReader.losses``; the released weights."""
        quality = dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0)
        return dict(
            loss_cls_kd=quality,
            loss_conf_kd=dict(quality),
            loss_xy_kd=dict(quality),
            loss_wh_kd=dict(type='mmdet.MSELoss', loss_weight=2.0),
        )

    def recorders(self) -> tuple[dict[str, Recorder], dict[str, Recorder]]:
        """See ``CrossReader.recorders``."""
        head = self.student.bbox_head
        return (
            dict(
                feats=MethodRecorder(head, 'forward', lambda args, _: args[0]),
                targets=MethodRecorder(head, 'get_targets'),
            ),
            dict(head=CallRecorder(self.teacher.bbox_head, 'forward')),
        )

    def compare(self, student: Record, teacher: Record, losses: set[str]) -> Iterator[Comparison]:
        """See ``CrossReader.compare``."""
        head, call = self.teacher.bbox_head, teacher['head'][0]
        feats = list(student['feats'][0])
        if self._adapters is not None:
            feats = [self._adapters[f'level{i}'](feat) for i, feat in enumerate(feats)]
        aligned = [
            align_scale(feat, channel_stats(own), relu=False)
            for feat, own in zip(feats, call['x'], strict=True)
        ]
        cross, wanted = (
            flatten_levels(maps[0], head.num_attrib).float()
            for maps in (head.forward(aligned), call.result)
        )
        targets, negatives = student['targets'][0]
        assigned = torch.cat(
            [
                (maps[..., 4] + negative).reshape(-1).clamp(max=1)
                for maps, negative in zip(targets, negatives, strict=True)
            ]
        )
        confidence = wanted[:, 4].sigmoid()

        def part(loss: str, columns: slice, weight: Tensor) -> Comparison:
            return Comparison(loss, cross[:, columns], wanted[:, columns], weight)

        yield part('loss_cls_kd', slice(5, None), confidence)
        yield part('loss_conf_kd', slice(4, 5), assigned)
        yield part('loss_xy_kd', slice(0, 2), confidence)
        yield part('loss_wh_kd', slice(2, 4), confidence.unsqueeze(1).expand(-1, 2))
