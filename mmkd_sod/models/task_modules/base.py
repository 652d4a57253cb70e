"""Base classes of the readers of detection heads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.utils import reduce_mean
from torch import Tensor

from .crossing import Comparison
from .towers import TowerReader

Records = dict[str, list]


@dataclass
class DensePredictions:
    """Raw predictions of all levels as P rows, ordered by level, image, row, column, anchor.

    Attributes:
        cls (Tensor): (P, C) classification logits.
        reg (Tensor): (P, D) regression values, in the form of ``boxes`` or ``compare_reg``.
        center (Tensor, optional): (P, ) logits of centerness or predicted IoU.
        levels (list): (height, width) of each level.
    """

    cls: Tensor
    reg: Tensor
    center: Tensor | None
    levels: list[tuple[int, int]]


@dataclass
class DenseTargets:
    """Results of the student's target assignment, in the row order of ``DensePredictions``.

    Attributes:
        label_weights (Tensor, optional): (P, ), or (P, C) if the head weights classes separately;
            None means 1 everywhere.
        avg_factor (float | Tensor): Normaliser of the classification term, averaged over ranks, so
            that the mean of the ranks' terms is the term of the whole batch.
        positive (Tensor, optional): (P, ) bool, for terms on positive anchors only.
        priors (Tensor, optional): (P, 4) anchors or (P, 2) points, for terms on boxes.
        box_avg_factor (float | Tensor, optional): Normaliser of the other terms; default:
            ``avg_factor``.
    """

    label_weights: Tensor | None
    avg_factor: float | Tensor
    positive: Tensor | None = None
    priors: Tensor | None = None
    box_avg_factor: Any = None

    def __post_init__(self) -> None:
        if self.box_avg_factor is None:
            self.box_avg_factor = self.avg_factor

    @property
    def counted(self) -> Tensor | None:
        """(P, ) bool: rows with a positive weight for some class; None means all rows."""
        if self.label_weights is None:
            return None
        counted = self.label_weights > 0
        return counted if counted.dim() == 1 else counted.any(dim=1)

    def leave_out(self, rows: Tensor) -> None:
        """Set the weight of rows to 0; ``rows`` is (P, ) bool."""
        kept = (~rows).float()
        if self.label_weights is None:
            self.label_weights = kept
        else:
            weights = self.label_weights
            self.label_weights = weights * (kept if weights.dim() == 1 else kept[:, None])


def flatten_levels(maps: Sequence[Tensor], channels: int) -> Tensor:
    """Flatten (N, A * channels, H, W) maps of all levels to (P, channels) rows."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(-1, channels) for m in maps])


def flatten_targets(levels: Sequence[Tensor]) -> Tensor:
    """Flatten (N, A * H * W) targets of all levels to (P, ) rows."""
    return torch.cat([level.reshape(-1) for level in levels])


def level_rows(
    per_image: Sequence[Tensor], predictions: DensePredictions, priors_per_location: int = 1
) -> Tensor:
    """Reorder targets per image, each ordered by level, row, column, anchor, to (P, ) rows."""
    sizes = [h * w * priors_per_location for h, w in predictions.levels]
    split = [image.split(sizes) for image in per_image]
    return torch.cat([part for level in zip(*split, strict=True) for part in level])


def prior_rows(generator, predictions: DensePredictions, **options) -> Tensor:
    """Return the anchor or point of every row.

    Args:
        generator: Prior generator of mmdet.
        predictions (DensePredictions): Gives the sizes of the levels and the number of images.
        options: Passed to the generator's ``grid_priors``.
    """
    levels = generator.grid_priors(predictions.levels, device=predictions.reg.device, **options)
    images = len(predictions.reg) // sum(len(level) for level in levels)
    return torch.cat([level.repeat(images, 1) for level in levels])


def rank_mean(normaliser: float | Sequence[float] | Tensor, like: Tensor) -> Tensor:
    """Average normalisers of the ranks.

    Args:
        normaliser (float | Sequence[float] | Tensor): Normalisers of this rank.
        like (Tensor): A tensor on the device of the losses.

    Returns:
        Tensor: Means over the ranks, float32.
    """
    if isinstance(normaliser, Sequence):
        own = torch.stack([_on_device(value, like) for value in normaliser])
    else:
        own = _on_device(normaliser, like)
    return reduce_mean(own)


def _on_device(value: float | Tensor, like: Tensor) -> Tensor:
    """Return a number as a float32 scalar on a device, without a host synchronisation."""
    if isinstance(value, Tensor):
        return value.to(like.device, torch.float)
    return torch.full((), value, dtype=torch.float, device=like.device)


def is_positive(head: Any, labels: Tensor) -> Tensor:
    """Return (P, ) bool: whether a label is the class of an object."""
    return (labels >= 0) & (labels < head.num_classes)


def joint_logits(*logits: Tensor) -> Tensor:
    """Return the logits of the product of probabilities that are given by logits, in float32."""
    parts = [F.logsigmoid(part.float()) for part in logits]
    log_p = sum(parts[1:], start=parts[0])
    # Below 0, so that log(1 - p) stays finite where both probabilities round to 1.
    log_p = log_p.clamp(max=-1e-6)
    return log_p - torch.log(-torch.expm1(log_p))


class HeadReader(TowerReader):
    """Reads the towers, predictions and targets of one detection head.

    Register a subclass in ``mmkd_sod.registry.HEAD_READERS`` under the class names of its heads;
    ``mmkd_sod.models.task_modules.find_reader`` describes which subclasses it also reads.

    Args:
        head (nn.Module): The head.
    """

    # Methods of the head whose results `targets` needs; recorded in the student's training step.
    target_methods: tuple[str, ...] = ('get_targets',)
    # Kind of detector, for the documentation.
    kind = 'dense'
    # What is compared besides classes: 'bins' (distributions over box sides) or 'boxes'.
    reg_kind = 'boxes'
    # Whether a third branch predicts centerness or IoU.
    has_centerness = False
    center_by_default = True
    # Heads of one family predict the same quantities, so that each can be the other's teacher.
    # None: only heads of the same reader.
    family: str | None = None
    # Compared outputs and their weights, one line for the documentation.
    compared = ''
    # Defaults of CrossKDDistiller: weight of the class term, and the box loss.
    cls_weight = 1.0
    box_loss = dict(type='mmdet.GIoULoss', loss_weight=1.0)

    @property
    def name(self) -> str:
        """Class name of the head."""
        return type(self.head).__name__

    @property
    def default_idx(self) -> int:
        """Blocks before the split by default: all but the last, as in the paper."""
        return max(self.depth - 1, 0)

    def refusal(self) -> str | None:
        """Return why the head cannot be distilled as configured, or None if it can."""
        if not getattr(self.head, 'use_sigmoid_cls', True):
            return 'its classes are softmax scores; set use_sigmoid=True in its loss_cls'
        return None

    def layout(self) -> dict[str, Any]:
        """Return the settings, except classes, that must agree between student and teacher."""
        prior = self.head.prior_generator
        return {
            'strides': [tuple(stride) for stride in prior.strides],
            'anchors per location': list(prior.num_base_priors),
        }

    def target_sources(self) -> dict[str, tuple[object, str, Callable | None]]:
        """Return the calls to record in training: name to (owner, method, what to keep)."""
        return {name: (self.head, name, None) for name in self.target_methods}

    def rows(
        self,
        cls_maps: Sequence[Tensor],
        reg_maps: Sequence[Tensor],
        center_maps: Sequence[Tensor] | None = None,
    ) -> DensePredictions:
        """Flatten the maps of all levels to rows.

        Args:
            cls_maps (Sequence[Tensor]): (N, A * C, H, W) per level.
            reg_maps (Sequence[Tensor]): (N, A * D, H, W) per level, D being ``reg_channels``.
            center_maps (Sequence[Tensor], optional): (N, A, H, W) per level.
        """
        return DensePredictions(
            cls=flatten_levels(cls_maps, self.head.cls_out_channels),
            reg=flatten_levels(reg_maps, self.reg_channels),
            center=None if center_maps is None else flatten_levels(center_maps, 1).squeeze(-1),
            levels=[(m.shape[-2], m.shape[-1]) for m in cls_maps],
        )

    def flatten(self, outputs) -> DensePredictions:
        """Return rows for the outputs of the head's forward."""
        return self.rows(*outputs[: 2 + self.has_centerness])

    @property
    def reg_channels(self) -> int:
        """Regression values per anchor."""
        return 4

    def targets(self, records: Records, predictions: DensePredictions) -> DenseTargets:
        """Return the targets from the results of the recorded calls.

        Args:
            records (dict): Name to the results of its calls in this step, in order.
            predictions (DensePredictions): Predictions of the student or the cross-head
                predictions, for the sizes of the levels.
        """
        raise NotImplementedError

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Decode (P, D) regression rows to (P, 4) boxes, XYXY."""
        return self.head.bbox_coder.decode(targets.priors, reg)

    def compare_reg(
        self,
        student: DensePredictions,
        teacher: DensePredictions,
        weight: Tensor,
        targets: DenseTargets,
    ) -> Comparison:
        """Return what the regression loss compares, here decoded boxes.

        Args:
            student (DensePredictions): Cross-head predictions.
            teacher (DensePredictions): Predictions of the teacher.
            weight (Tensor): (P, ), confidence of the teacher.
            targets (DenseTargets): Targets of the student.
        """
        with torch.no_grad():
            wanted = self.boxes(teacher.reg.float(), targets)
            weight = self.box_weight(weight, wanted)
        boxes = self.boxes(student.reg.float(), targets)
        return Comparison('loss_reg_kd', boxes, wanted, weight, targets.box_avg_factor)

    def box_weight(self, weight: Tensor, wanted: Tensor) -> Tensor:
        """Return the weights (P, ) of the teacher's boxes (P, 4), here unchanged."""
        return weight


class DistanceReader(HeadReader):
    """Reads heads that regress distances to box sides and may predict values of 0 or below.

    In the comparison a negative distance counts as 0 but keeps its gradient, so that training can
    raise it; boxes of the teacher without area have weight 0. Both are choices of this project,
    since IoU is undefined for such boxes.

    Args:
        head (nn.Module): The head.
    """

    def boxes(self, reg: Tensor, targets: DenseTargets) -> Tensor:
        """Decode (P, 4) distances to (P, 4) boxes, XYXY."""
        reg = reg + (reg.clamp(min=0) - reg).detach()
        return self.head.bbox_coder.decode(targets.priors, reg)

    def box_weight(self, weight: Tensor, wanted: Tensor) -> Tensor:
        """Set the weight to 0 where the teacher's box has no area."""
        return weight * (wanted[:, 2:] > wanted[:, :2]).all(dim=1)


class PointReader(DistanceReader):
    """Reads heads that regress distances from the points of their ``prior_generator``.

    Args:
        head (nn.Module): The head.
    """

    def priors(self, predictions: DensePredictions) -> Tensor:
        """Return the (P, 2) points of the rows."""
        return prior_rows(self.head.prior_generator, predictions)


class ObjectnessReader(HeadReader):
    """Reads heads whose class scores are multiplied by an objectness score.

    The product is compared as one logit, since the head's predictions depend on the product only.

    Args:
        head (nn.Module): The head.
    """

    compared = 'classes times objectness; boxes; every location counts'

    def flatten(self, outputs) -> DensePredictions:
        """Return rows of joint logits and raw boxes."""
        cls_maps, reg_maps, objectness = outputs
        rows = self.rows(cls_maps, reg_maps)
        rows.cls = joint_logits(rows.cls, flatten_levels(objectness, 1))
        return rows
