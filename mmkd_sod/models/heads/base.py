"""How a detection head made of towers is read, and its tail run on other features."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HEAD_READERS


@dataclass
class DensePredictions:
    """Raw predictions of all levels in one row order: level, image, row, column, anchor.

    Attributes:
        cls (Tensor): (P, C) classification logits.
        reg (Tensor): (P, D) regression as the head gives it.
        center (Tensor, optional): (P, ) centerness logits.
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
        label_weights (Tensor, optional): (P, ); None stands for 1 everywhere.
        avg_factor (float | Tensor): The normaliser of the classification term, averaged over ranks.
        positive (Tensor, optional): (P, ) bool, for terms on positive anchors alone.
        priors (Tensor, optional): (P, 4) anchors or (P, 2) points, for terms on boxes.
    """

    label_weights: Tensor | None
    avg_factor: float | Tensor
    positive: Tensor | None = None
    priors: Tensor | None = None


class _Feed(nn.Module):
    """Stands in for the first blocks of a tower: ignores its input, gives the next feature."""

    def __init__(self, feats: Sequence[Tensor]) -> None:
        super().__init__()
        self._feats = iter(feats)

    def forward(self, _: Tensor) -> Tensor:
        return next(self._feats)


def flatten_levels(maps: Sequence[Tensor], channels: int) -> Tensor:
    """(N, A * channels, H, W) maps of all levels to (P, channels) rows."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(-1, channels) for m in maps])


class HeadReader:
    """Reads one detection head: its towers, predictions and targets.

    A subclass is registered in ``mmkd_sod.registry.HEAD_READERS`` under the class name of the head;
    subclasses of that head are read by it too unless they have a reader of their own.

    Args:
        head (nn.Module): The head.
    """

    # The attribute names of the classification and regression towers, lists of conv blocks.
    towers = ('cls_convs', 'reg_convs')
    # Methods of the head whose results `targets` needs, recorded while the student trains.
    target_methods: tuple[str, ...] = ('get_targets', )
    # What is compared besides classes: 'bins' (distributions over box sides) or 'boxes'.
    reg_kind = 'boxes'
    has_centerness = False

    def __init__(self, head: nn.Module) -> None:
        self.head = head

    @property
    def name(self) -> str:
        """Class name of the head."""
        return type(self.head).__name__

    @property
    def depth(self) -> int:
        """Number of blocks in each tower."""
        return min(len(getattr(self.head, tower)) for tower in self.towers)

    def channels(self, idx: int) -> int:
        """Channels of the tower feature behind ``idx`` blocks (0: the tower's input)."""
        return self.head.in_channels if idx == 0 else self.head.feat_channels

    def ends_in_relu(self, idx: int) -> bool:
        """Whether the tower feature behind ``idx`` blocks is the output of a ReLU."""
        if idx == 0:
            return False
        block = getattr(self.head, self.towers[0])[idx - 1]
        if isinstance(block, ConvModule):
            return block.with_activation and isinstance(block.activate, nn.ReLU)
        return any(isinstance(m, nn.ReLU) for m in block.modules())

    def layout(self) -> dict[str, Any]:
        """What must agree between student and teacher, by name."""
        head = self.head
        prior = getattr(head, 'prior_generator', None)
        layout = {'classes': head.cls_out_channels}
        if prior is not None:
            layout['strides'] = [tuple(stride) for stride in prior.strides]
            layout['anchors a location'] = list(prior.num_base_priors)
        return layout

    def tower_taps(self, idx: int) -> dict[str, tuple[nn.Module, str]]:
        """Recorder sources of both tower features behind ``idx`` > 0 blocks."""
        return {
            tower: (getattr(self.head, tower)[idx - 1], 'output')
            for tower in self.towers
        }

    @contextmanager
    def _towers_replaced(self, feats: dict[str, Sequence[Tensor]], idx: int) -> Iterator[None]:
        originals = {tower: getattr(self.head, tower) for tower in self.towers}
        try:
            for tower, blocks in originals.items():
                setattr(self.head, tower, nn.ModuleList([_Feed(feats[tower]), *blocks[idx:]]))
            yield
        finally:
            for tower, blocks in originals.items():
                setattr(self.head, tower, blocks)

    def run_tail(self, feats: dict[str, Sequence[Tensor]], idx: int):
        """Run the head on given tower features, from block ``idx`` on.

        The head's own forward runs, with its towers replaced for the moment by the features and the
        remaining blocks, so scales, clamps and everything else a head does are its own.

        Args:
            feats (dict): Tower name to the features of all levels.
            idx (int): How many blocks the features already passed.

        Returns:
            What the head's forward gives.
        """
        with self._towers_replaced(feats, idx):
            return self.head.forward(tuple(feats[self.towers[0]]))

    def flatten(self, outputs) -> DensePredictions:
        """Rows from the outputs of the head's forward: classes, boxes and maybe centerness."""
        cls_maps, reg_maps, *rest = outputs
        channels = self.head.cls_out_channels
        return DensePredictions(
            cls=flatten_levels(cls_maps, channels),
            reg=flatten_levels(reg_maps, self.reg_channels),
            center=flatten_levels(rest[0], 1).squeeze(-1) if self.has_centerness else None,
            levels=[tuple(m.shape[-2:]) for m in cls_maps])

    @property
    def reg_channels(self) -> int:
        """Regression values an anchor."""
        return 4

    def targets(self, records: dict[str, Any], predictions: DensePredictions) -> DenseTargets:
        """Targets from what ``target_methods`` returned.

        Args:
            records (dict): Method name to the result of its one call.
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
        boxes = self.boxes(student.reg.float(), targets)
        return loss(boxes, wanted, weight=weight, avg_factor=targets.avg_factor)


def find_reader(head: nn.Module, owner: str) -> HeadReader:
    """The reader of a head, found by the class names of the head and its bases.

    Args:
        head (nn.Module): A detection head.
        owner (str): 'student' or 'teacher', for the error message.

    Raises:
        ConfigError: No reader knows the head.
    """
    for cls in type(head).__mro__:
        reader = HEAD_READERS.get(cls.__name__)
        if reader is not None:
            return reader(head)
    known = ', '.join(sorted(HEAD_READERS.module_dict))
    raise ConfigError(
        f"CrossKDDistiller: no reader knows the {owner}'s head {type(head).__name__}; use one of "
        f'{known}, or register a HeadReader for it in mmkd_sod.registry.HEAD_READERS')
