"""CrossKD of Sparse R-CNN and QueryInst: neck features meet the teacher's queries."""

from collections.abc import Iterator
from typing import Any

from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.models.recorders import Call, CallRecorder, MethodRecorder, Record, Recorder
from mmkd_sod.registry import CROSS_READERS

from .crossing import Comparison, CrossReader, Losses, check_equal, check_necks
from .detr import compare_queries, image_sizes, query_losses


@CROSS_READERS.register_module(name='SparseRoIHead')
class SparseCross(CrossReader):
    """Crosses RoI heads on queries: each stage of the teacher runs on the student's neck features.

    Boxes and object features of every stage are those of the teacher's own forward, and every query
    is compared with itself, as for DETR; stages do not chain. Masks of QueryInst are left to the
    student's own loss. Losses have the prefix ``d<stage>.``. A choice of this project; the release
    has no such detector.

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
        adapter (bool): Learn a 1x1 convolution from the student's neck width to the teacher's.
    """

    kind = 'query-based'
    compared = 'classes and boxes of every query in every stage; not the masks'

    def __init__(
        self, student: BaseModel, teacher: BaseModel, adapter: bool = False, **options: Any
    ) -> None:
        super().__init__(student, teacher, **options)
        heads = [model.roi_head.bbox_head[0] for model in (self.student, self.teacher)]
        extractors = [
            model.roi_head.bbox_roi_extractor[0] for model in (self.student, self.teacher)
        ]
        check_equal('classes of the heads', *(head.num_classes for head in heads))
        check_equal('strides of the RoI extractors', *(list(e.featmap_strides) for e in extractors))
        widths = [extractor.out_channels for extractor in extractors]
        check_necks(widths[0], widths[1], adapter)
        if adapter:
            layer = nn.Conv2d(widths[0], widths[1], 1, bias=False)
            self._adapters = nn.ModuleDict(dict(neck=layer))

    @property
    def name(self) -> str:
        """See ``CrossReader.name``."""
        return type(self.student.roi_head).__name__

    def losses(self) -> Losses:
        """See ``CrossReader.losses``."""
        return query_losses()

    def recorders(self) -> tuple[dict[str, Recorder], dict[str, Recorder]]:
        """See ``CrossReader.recorders``."""
        return (
            dict(
                feats=MethodRecorder(self.student, 'extract_feat'),
                samples=MethodRecorder(self.student.roi_head, 'loss', lambda args, _: args[2]),
            ),
            dict(stages=CallRecorder(self.teacher.roi_head, '_bbox_forward')),
        )

    def compare(self, student: Record, teacher: Record, losses: set[str]) -> Iterator[Comparison]:
        """See ``CrossReader.compare``."""
        feats = student['feats'][0]
        if self._adapters is not None:
            feats = tuple(self._adapters['neck'](feat) for feat in feats)
        sizes = image_sizes(student['samples'][0], feats[0])
        calls: list[Call] = teacher['stages']
        for stage, call in enumerate(calls):
            found = call.replay(self.teacher.roi_head._bbox_forward, [(call['x'], feats)])
            cross, wanted = (self._queries(result, sizes) for result in (found, call.result))
            yield from compare_queries(cross, wanted, sizes, f'd{stage}.')

    @staticmethod
    def _queries(result: dict, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (B, Q, C) and normalised boxes (B, Q, 4) of a stage."""
        logits = result['cls_score']
        boxes = result['decoded_bboxes'].float().view(*logits.shape[:2], 4)
        return logits, bbox_xyxy_to_cxcywh(boxes / sizes.unsqueeze(1))
