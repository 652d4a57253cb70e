"""KD-SCFNet: the teacher's saliency map is the student's only label."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import MethodRecorder, Record
from mmkd_sod.models.saliency import resize_like, saliency_head, saliency_logits
from mmkd_sod.registry import MODELS

from .base import DenseDistiller, Losses, Recorders, Requirements


@MODELS.register_module()
class WeakLabelDistiller(DenseDistiller):
    """Teach a segmentor with the saliency maps of another; no ground truth is needed.

    Source: KD-SCFNet (ECCV 2022). The target of every level of the student is the sigmoid of the
    teacher's finest logit map; the loss is dice with weights (1, 1/2, 1/4, 1/8). Maps are resized
    to the input's size first. Any segmentor of mmseg with one or two output channels can be student
    or teacher; of several maps the first is the finest.

    ``source='online'`` runs the teacher on the augmented images of each step, as the release does.
    ``source='offline'`` reads the ``weak_label`` of each sample, which ``LoadWeakLabel`` loads from
    files written by ``tools/generate_weak_labels.py``; ``DenseDistill`` then takes ``teacher=None``
    and no teacher runs. Offline labels are predicted on the image before augmentation: the two
    agree where the teacher's prediction commutes with the augmentation.

    Padding of a batch is not masked; images that are resized to one size have none.

    With ``calculate_student_loss=False`` in ``DenseDistill`` no mask is needed, as in the paper.

    Args:
        source (str): ``'online'`` or ``'offline'``.
        loss (dict, optional): A loss of ``(logits, target)`` with the target in [0, 1]. Default:
            ``DiceLoss``.
        level_weights (Sequence[float]): Weight of each of the student's maps, finest first. A
            student with fewer maps uses the first ones.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: ``source`` is unknown or does not fit the teacher, a model has no saliency
            head, the student has more maps than there are weights, or a batch has no weak labels.
    """

    def __init__(
        self,
        source: str = 'online',
        loss: dict | None = None,
        level_weights: Sequence[float] = (1, 1 / 2, 1 / 4, 1 / 8),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if source not in ('online', 'offline'):
            raise ConfigError(
                f"WeakLabelDistiller: source={source!r}; choose 'online' or 'offline'"
            )
        self.source = source
        self.loss = MODELS.build(loss or dict(type='mmkd_sod.DiceLoss'))
        self.level_weights = tuple(level_weights)
        # The teacher's map is resized to the student's input.
        self.requirements = Requirements(teacher=source == 'online', equal_size=False)

    def prepare(self, student: BaseModel, teacher: BaseModel | None) -> Recorders:
        """See ``DenseDistiller.prepare``."""
        online = self.source == 'online'
        if online == (teacher is None):
            raise ConfigError(
                f"WeakLabelDistiller: source='{self.source}' needs "
                f'{"a teacher" if online else "teacher=None"}, got '
                f'{"none" if teacher is None else type(teacher).__name__}; change one of the two'
            )
        head = saliency_head(student, 'the student')
        self._align_corners = bool(head.align_corners)
        ours = dict(
            maps=MethodRecorder(head, 'forward'),
            call=MethodRecorder(student, 'forward', lambda args, _: (args[0].shape[2:], args[1])),
        )
        if teacher is None:
            return Recorders(ours)
        head = saliency_head(teacher, 'the teacher')
        self._teacher_align_corners = bool(head.align_corners)
        return Recorders(
            ours,
            dict(finest=MethodRecorder(head, 'forward', lambda _, out: saliency_logits(out)[0])),
        )

    def _target(self, size: Sequence[int], data_samples: list | None, teacher: Record) -> Tensor:
        """The target of every map of the student, (N, 1, H, W) in [0, 1]."""
        if self.source == 'online':
            logits = teacher['finest'][-1].float()
            return resize_like(logits, size, self._teacher_align_corners).sigmoid()
        labels = [sample.get('weak_label') for sample in data_samples or [None]]
        if any(label is None for label in labels):
            raise ConfigError(
                "WeakLabelDistiller: source='offline' found samples without "
                'weak_label; put mmkd_sod.LoadWeakLabel into the training pipeline'
            )
        return resize_like(torch.stack([label.data for label in labels]).float(), size)

    def compute_losses(self, student: Record, teacher: Record) -> Losses:
        """Return ``loss_weak_0`` of the student's finest map, ``loss_weak_1`` and so on."""
        maps = saliency_logits(student['maps'][-1])
        size, data_samples = student['call'][-1]
        if len(maps) > len(self.level_weights):
            raise ConfigError(
                f'WeakLabelDistiller: the student has {len(maps)} maps, level_weights has '
                f'{len(self.level_weights)} values; give a weight for each map'
            )
        target = self._target(size, data_samples, teacher)
        return {
            f'loss_weak_{i}': weight * self.loss(resize_like(x, size, self._align_corners), target)
            for i, (x, weight) in enumerate(zip(maps, self.level_weights, strict=False))
        }
