"""The interface between CrossKDDistiller and the readers of pairs of detectors."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import Record, Recorder

# Config of a distillation loss by its name.
Losses = dict[str, dict]


@dataclass
class Comparison:
    """What one distillation loss compares.

    Attributes:
        loss (str): Name of the loss, for instance ``'loss_cls_kd'``.
        student (Tensor): (P, ...) cross-head predictions, which carry the gradient.
        teacher (Tensor): The teacher's predictions, in the same form.
        weight (Tensor, optional): Weights of the rows, in the form that the loss takes.
        avg_factor (float | Tensor): Divides the sum.
        prefix (str): Begins the logged name, for instance ``'d0.'`` of the first decoder layer.
    """

    loss: str
    student: Tensor
    teacher: Tensor
    weight: Tensor | None = None
    avg_factor: float | Tensor = 1.0
    prefix: str = ''


class CrossReader(ABC):
    """Reads student and teacher of one kind of detector for CrossKD.

    A subclass states what of the teacher runs on which features of the student, and what of the
    predictions is compared. Register it in ``mmkd_sod.registry.CROSS_READERS`` under the class
    names of the heads that cross (``find_cross_reader``).

    Args:
        student (BaseModel): The student.
        teacher (BaseModel): The frozen teacher.
        options: Options of ``CrossKDDistiller`` that the kind has.

    Raises:
        ConfigError: The two do not fit; the message names both.
    """

    # Name of the kind in messages and in docs/crosskd.md.
    kind = ''
    # What is compared, one line for the documentation.
    compared = ''
    # Whether the teacher's backbone and neck are all that has to run in its own forward.
    features_only = False

    def __init__(self, student: BaseModel, teacher: BaseModel, **options: Any) -> None:
        if options:
            raise ConfigError(
                f'CrossKDDistiller: {", ".join(sorted(options))} is given, which {self.kind} '
                'detectors do not have; leave it out'
            )
        # An annotation as Any: the attributes depend on the kind.
        self.student: Any = student
        self.teacher: Any = teacher
        self._adapters: nn.ModuleDict | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Class name of the student's head, for messages."""

    @abstractmethod
    def losses(self) -> Losses:
        """Return the default config of each loss of the pair."""

    def optional_losses(self) -> dict[str, dict | None]:
        """Return the configs of losses that are on by default only where no loss is given.

        None stands for a loss that is never on by default.
        """
        return {}

    def adapters(self) -> nn.ModuleDict | None:
        """Return learned layers between both networks, if any were asked for."""
        return self._adapters

    @abstractmethod
    def recorders(self) -> tuple[dict[str, Recorder], dict[str, Recorder]]:
        """Return what is recorded of the student and of the teacher in a step."""

    @abstractmethod
    def compare(self, student: Record, teacher: Record, losses: set[str]) -> Iterator[Comparison]:
        """Run the teacher on the student's features and yield what is compared.

        Args:
            student (dict): Record of the student.
            teacher (dict): Record of the teacher.
            losses (set): Names of the losses that are configured.
        """


def check_equal(name: str, student: Any, teacher: Any) -> None:
    """Refuse a pair whose settings differ.

    Raises:
        ConfigError: The message names both settings.
    """
    if student != teacher:
        raise ConfigError(
            f'CrossKDDistiller: {name} must agree, student {student}, teacher {teacher}; change '
            'one of the two configs'
        )


def check_necks(student: Any, teacher: Any, adapter: bool) -> None:
    """Refuse necks of different channels without an adapter.

    Args:
        student (int | list): Channels of the student's neck.
        teacher (int | list): Of the teacher's.
        adapter (bool): Whether 1x1 convolutions are learned between them.

    Raises:
        ConfigError: The message names both.
    """
    if student != teacher and not adapter:
        raise ConfigError(
            f'CrossKDDistiller: the necks have {student} channels (student) and {teacher} '
            '(teacher); set out_channels alike, or learn a 1x1 convolution with adapter=True'
        )


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices of an option.

    Raises:
        ConfigError: The message lists the choices.
    """
    if value not in choices:
        raise ConfigError(f'CrossKDDistiller: {name}={value!r}; choose {" or ".join(choices)}')
