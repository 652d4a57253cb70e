"""How a detection head made of towers is read."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from .towers import TowerReader

Records = dict[str, list]


@dataclass
class DensePredictions:
    """Raw predictions of all levels in one row order: level, image, row, column, anchor.

    Attributes:
        cls (Tensor): (P, C) classification logits.
        reg (Tensor): (P, D) regression as the reader's ``boxes`` or ``reg_loss`` takes it.
        center (Tensor, optional): (P, ) logits of centerness or predicted IoU.
        levels (list): (height, width) of each level.
    """

    cls: Tensor
    reg: Tensor
    center: Tensor | None
    levels: list[tuple[int, int]]


@dataclass
class DenseTargets:
    """What the student's own target assignment says, in the same row order.

    Attributes:
        label_weights (Tensor, optional): (P, ), or (P, C) where the head weighs classes one by one;
            None stands for 1 everywhere.
        avg_factor (float | Tensor): The normaliser of the classification term, averaged over ranks,
            so that the mean of the ranks' terms is the term of the whole batch.
        positive (Tensor, optional): (P, ) bool, for terms on positive anchors alone.
        priors (Tensor, optional): (P, 4) anchors or (P, 2) points, for terms on boxes.
        box_avg_factor (float | Tensor, optional): The normaliser of the other terms; default:
            ``avg_factor``.
    """

    label_weights: Tensor | None
    avg_factor: float | Tensor
    positive: Tensor | None = None
    priors: Tensor | None = None
    box_avg_factor: float | Tensor | None = None

    def __post_init__(self) -> None:
        if self.box_avg_factor is None:
            self.box_avg_factor = self.avg_factor

    @property
    def counted(self) -> Tensor | None:
        """(P, ) bool: rows that some class counts; None where all do."""
        if self.label_weights is None:
            return None
        counted = self.label_weights > 0
        return counted if counted.dim() == 1 else counted.any(dim=1)


def flatten_levels(maps: Sequence[Tensor], channels: int) -> Tensor:
    """(N, A * channels, H, W) maps of all levels to (P, channels) rows."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(-1, channels) for m in maps])


def flatten_targets(levels: Sequence[Tensor]) -> Tensor:
    """(N, A * H * W) targets of all levels to (P, ) rows."""
    return torch.cat([level.reshape(-1) for level in levels])


def level_rows(per_image: Sequence[Tensor], predictions: DensePredictions,
               priors_a_location: int = 1) -> Tensor:
    """Rows from targets of whole images, each (level, row, column, anchor)."""
    sizes = [h * w * priors_a_location for h, w in predictions.levels]
    split = [image.split(sizes) for image in per_image]
    return torch.cat([part for level in zip(*split, strict=True) for part in level])


def prior_rows(generator, predictions: DensePredictions, **options) -> Tensor:
    """The anchors or points of every row.

    Args:
        generator: mmdet's prior generator.
        predictions (DensePredictions): For the sizes of the levels and the number of images.
        options: For the generator's ``grid_priors``.
    """
    levels = generator.grid_priors(predictions.levels, device=predictions.reg.device, **options)
    images = len(predictions.reg) // sum(len(level) for level in levels)
    return torch.cat([level.repeat(images, 1) for level in levels])


def rank_mean(normaliser: float | Tensor, like: Tensor) -> Tensor:
    """The mean over ranks of a normaliser that the head's own loss takes of each rank.

    Args:
        normaliser (float | Tensor): Of this rank.
        like (Tensor): On the device of the losses.

    Returns:
        Tensor: A float32 scalar.
    """
    return reduce_mean(torch.as_tensor(normaliser, dtype=torch.float, device=like.device))


def is_positive(head: nn.Module, labels: Tensor) -> Tensor:
    """(P, ) bool: which anchors carry an object's class."""
    return (labels >= 0) & (labels < head.num_classes)


def joint_logits(*logits: Tensor) -> Tensor:
    """Logits of the product of probabilities, each given by its logits; float32."""
    log_p = sum(F.logsigmoid(part.float()) for part in logits)
    # Below 0, so that log(1 - p) stays finite where both probabilities round to 1.
    log_p = log_p.clamp(max=-1e-6)
    return log_p - torch.log(-torch.expm1(log_p))


class HeadReader(TowerReader):
    """Reads one detection head: its towers, predictions and targets.

    A subclass is registered in ``mmkd_sod.registry.HEAD_READERS`` under the class name of each head
    that it reads; :func:`~mmkd_sod.models.task_modules.find_reader` says which other heads it gets.
    """

    # Methods of the head whose results `targets` needs, recorded while the student trains.
    target_methods: tuple[str, ...] = ('get_targets', )
    # What is compared besides classes: 'bins' (distributions over box sides) or 'boxes'.
    reg_kind = 'boxes'
    # Whether a third branch predicts centerness or IoU.
    has_centerness = False
    # Heads of one family predict alike and can be student and teacher of each other. Default: the
    # reader's own class.
    family: str | None = None
    # What is compared and by which weights, one line for the documentation.
    compared = ''

    @property
    def name(self) -> str:
        """Class name of the head."""
        return type(self.head).__name__

    def refusal(self) -> str | None:
        """Why this head cannot take part as it is configured; None if it can."""
        if not getattr(self.head, 'use_sigmoid_cls', True):
            return 'its classes are softmax scores; give its loss_cls use_sigmoid=True'
        return None

    def layout(self) -> dict[str, Any]:
        """What must agree between student and teacher, by name; classes excepted."""
        prior = getattr(self.head, 'prior_generator', None)
        if prior is None:
            return {}
        return {'strides': [tuple(stride) for stride in prior.strides],
                'anchors a location': list(prior.num_base_priors)}

    def target_sources(self) -> dict[str, tuple[object, str, Callable | None]]:
        """Calls to record while the student trains: name to (owner, method, what to keep)."""
        return {name: (self.head, name, None) for name in self.target_methods}

    def flatten(self, outputs) -> DensePredictions:
        """Rows from the outputs of the head's forward: classes, boxes and maybe centerness."""
        cls_maps, reg_maps, *rest = outputs
        return DensePredictions(
            cls=flatten_levels(cls_maps, self.head.cls_out_channels),
            reg=flatten_levels(reg_maps, self.reg_channels),
            center=flatten_levels(rest[0], 1).squeeze(-1) if self.has_centerness else None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    @property
    def reg_channels(self) -> int:
        """Regression values an anchor."""
        return 4

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Targets from what the recorded calls returned.

        Args:
            records (dict): Name to the results of its calls in this step, in order.
            predictions (DensePredictions): The student's or the cross-head predictions, for sizes.
        """
        raise NotImplementedError

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Decode (P, D) regression rows to (P, 4) boxes, XYXY."""
        return self.head.bbox_coder.decode(targets.priors, reg)

    def reg_loss(self, loss: nn.Module, student: DensePredictions, teacher: DensePredictions,
                 weight: Tensor, targets: DenseTargets) -> Tensor:
        """The regression term: a box loss between decoded boxes.

        Args:
            loss (nn.Module): For instance mmdet's ``GIoULoss``.
            student (DensePredictions): Cross-head predictions.
            teacher (DensePredictions): The teacher's.
            weight (Tensor): (P, ), the teacher's confidence.
            targets (DenseTargets): Targets of the student.
        """
        with torch.no_grad():
            wanted = self.boxes(teacher.reg.float(), targets)
            weight = self.box_weight(weight, wanted)
        boxes = self.boxes(student.reg.float(), targets)
        return loss(boxes, wanted, weight=weight, avg_factor=targets.box_avg_factor)

    def box_weight(self, weight: Tensor, wanted: Tensor) -> Tensor:
        """The weights of the teacher's boxes, here as they are."""
        return weight


class DistanceReader(HeadReader):
    """Heads that regress distances from points to box sides which may come out as 0 or below.

    A negative distance counts as 0 in the comparison while its gradient passes, so that a side can
    leave that range again; a teacher's box without area has weight 0. Both are this project's own:
    IoU says nothing of such boxes.
    """

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Decode (P, 4) distances to (P, 4) boxes, XYXY."""
        reg = reg + (reg.clamp(min=0) - reg).detach()
        return self.head.bbox_coder.decode(targets.priors, reg)

    def box_weight(self, weight: Tensor, wanted: Tensor) -> Tensor:
        """0 where the teacher's box has no area."""
        return weight * (wanted[:, 2:] > wanted[:, :2]).all(dim=1)


class PointReader(DistanceReader):
    """Heads of distances on the grid of points that their ``prior_generator`` gives."""

    def priors(self, predictions: DensePredictions) -> Tensor:
        """(P, 2) points."""
        return prior_rows(self.head.prior_generator, predictions)
