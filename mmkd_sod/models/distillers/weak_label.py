"""KD-SCFNet: the teacher's saliency map is the student's only label."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency import resize_like, saliency_head, saliency_logits
from mmkd_sod.registry import MODELS

from .base import DenseDistiller, Losses
from .recorders import MethodRecorder


@MODELS.register_module()
class WeakLabelDistiller(DenseDistiller):
    """Teach a segmentor with the saliency maps of another; no ground truth is needed.

    KD-SCFNet (ECCV 2022): the target of every level of the student is the sigmoid of the teacher's
    finest logit map; the loss is dice with weights (1, 1/2, 1/4, 1/8). Maps are resized to the
    input's size first. Any segmentor of mmseg with one output channel, or two, can be student or
    teacher; of several maps the first is the finest.

    ``source='online'`` runs the teacher on the augmented images of each step, as the release does.
    ``source='offline'`` reads the ``weak_label`` of each sample, which ``LoadWeakLabel`` puts there
    from files that ``tools/generate_weak_labels.py`` wrote; ``DenseDistill`` then takes
    ``teacher=None`` and a step does no teacher work. Both agree where the teacher's answer to an
    augmented image is its augmented answer; offline labels come from the image before augmentation.

    With ``calculate_student_loss=False`` in ``DenseDistill`` no mask is needed, as in the paper.

    Args:
        source (str): ``'online'`` or ``'offline'``.
        loss (dict, optional): A loss of ``(logits, target)`` with the target in [0, 1]. Default:
            ``DiceLoss``.
        level_weights (Sequence[float]): Weight of each of the student's maps, finest first. A
            student with fewer maps uses the first ones.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: ``source`` is unknown or does not fit the teacher, a model gives no saliency
            map, the student gives more maps than there are weights, or a batch has no weak labels.
    """

    def __init__(self, source: str = 'online', loss: dict | None = None,
                 level_weights: Sequence[float] = (1, 1 / 2, 1 / 4, 1 / 8),
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if source not in ('online', 'offline'):
            raise ConfigError(f"WeakLabelDistiller: source={source!r}; choose 'online' or "
                              "'offline'")
        self.source = source
        self.loss = MODELS.build(loss or dict(type='mmkd_sod.DiceLoss'))
        self.level_weights = tuple(level_weights)

    # The teacher's map is brought to the size of the student's input.
    any_teacher_size = True

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher has to run."""
        return self.source == 'online'

    def prepare(self, student: BaseModel, teacher: BaseModel | None) -> None:
        """Check the pair and say what to record of it."""
        if self.needs_teacher == (teacher is None):
            wants = 'a teacher' if self.needs_teacher else 'teacher=None'
            raise ConfigError(
                f"WeakLabelDistiller: source='{self.source}' wants {wants}, got "
                f"{'none' if teacher is None else type(teacher).__name__}; change one of the two")
        head = saliency_head(student, 'the student')
        self._student_maps = MethodRecorder(head, 'forward')
        self._student_call = MethodRecorder(
            student, 'forward', lambda args, _: (args[0].shape[2:], args[1]))
        self.student_taps = [self._student_maps, self._student_call]
        self._corners = [bool(getattr(head, 'align_corners', False))]
        if teacher is not None:
            head = saliency_head(teacher, 'the teacher')
            self._teacher_maps = MethodRecorder(
                head, 'forward', lambda _, out: saliency_logits(out)[0])
            self.teacher_taps = [self._teacher_maps]
            self._corners.append(bool(getattr(head, 'align_corners', False)))

    def _target(self, size: Sequence[int], data_samples: list | None) -> Tensor:
        """What every map of the student should be, (N, 1, H, W) in [0, 1]."""
        if self.needs_teacher:
            logits = self._teacher_maps.data[-1]
            return resize_like(logits.float(), size, self._corners[1]).sigmoid()
        labels = [sample.get('weak_label') for sample in data_samples or [None]]
        if any(label is None for label in labels):
            raise ConfigError("WeakLabelDistiller: source='offline' found samples without "
                              'weak_label; put mmkd_sod.LoadWeakLabel into the training pipeline')
        return resize_like(torch.stack([label.data for label in labels]).float(), size)

    def compute_distill_losses(self) -> Losses:
        """``loss_weak_0`` of the student's finest map, and so on."""
        maps = saliency_logits(self._student_maps.data[-1])
        size, data_samples = self._student_call.data[-1]
        if len(maps) > len(self.level_weights):
            raise ConfigError(
                f'WeakLabelDistiller: the student gives {len(maps)} maps, level_weights has '
                f'{len(self.level_weights)}; give a weight for each map')
        target = self._target(size, data_samples)
        return {f'loss_weak_{i}': weight * self.loss(resize_like(x, size, self._corners[0]), target)
                for i, (x, weight) in enumerate(zip(maps, self.level_weights, strict=False))}
