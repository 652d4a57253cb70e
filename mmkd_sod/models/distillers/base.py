"""The interface between DenseDistill and distillers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from mmengine.model import BaseModel, BaseModule
from torch import Tensor

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import Record, Recorder, recording

Losses = dict[str, Tensor | list[Tensor]]

# What subclasses defined before records were handed over as arguments, and what replaces it.
_REPLACED = dict(
    compute_distill_losses='compute_losses(self, student, teacher), which gets the two records',
    student_taps='the Recorders that prepare() returns',
    teacher_taps='the Recorders that prepare() returns',
    needs_inplace_off='requirements = Requirements(inplace_off=...)',
    needs_student_targets='requirements = Requirements(student_targets=...)',
    needs_teacher='requirements = Requirements(teacher=...)',
    any_teacher_size='requirements = Requirements(equal_size=...)',
)


@dataclass(frozen=True)
class Requirements:
    """What a distiller requires of the training step.

    Attributes:
        teacher (bool): A teacher has to run. False for targets that are read from files;
            ``DenseDistill`` then accepts ``teacher=None``.
        student_targets (bool): The student's task loss has to run even if it is not part of the
            total, because the distiller reads the training targets that it assigns.
        student_loss (bool): The student's task loss has to be part of the total, because the
            distiller does not train the student's last layers, which would stay random.
        inplace_off (bool): In-place activations have to be switched off, because they overwrite
            recorded outputs.
        equal_size (bool): Teacher and student have to get inputs of the same height and width.
        size_remedy (str): Ends the error message about inputs of different sizes: the setting of
            the distiller that would accept them.
        features_only (bool): Of the teacher only backbone and neck have to run in its own forward.
    """

    teacher: bool = True
    student_targets: bool = False
    student_loss: bool = False
    inplace_off: bool = False
    equal_size: bool = True
    size_remedy: str = ''
    features_only: bool = False


class Distiller(ABC):
    """What ``DenseDistill`` calls. In the order of a run:

    1. ``attach`` once, when the model is built;
    2. in every step in which ``active`` is true, ``record_teacher`` around the forward of
       each teacher for which ``runs_teacher`` is true, ``record_student`` around the
       student's forward, and ``step_losses`` with the records;
    3. in every other step, ``idle_losses``.

    Records are handed over as arguments; a distiller keeps no feature after a step.
    """

    requirements = Requirements()

    @property
    def active(self) -> bool:
        """Whether it takes part in the current step."""
        return True

    @abstractmethod
    def attach(self, student: BaseModel, teachers: Mapping[str, BaseModel | None]) -> None:
        """Check the pair and find the modules to record; called once.

        Args:
            student (BaseModel): The student.
            teachers (Mapping): Teachers by name. A single teacher has the name ``''``; None stands
                for a distiller without a teacher.

        Raises:
            ConfigError: The models cannot be distilled this way.
        """

    def runs_teacher(self, name: str) -> bool:
        """Return whether the teacher of this name has to run in the current step."""
        return True

    def check_teacher_size(self, name: str, what: str) -> None:
        """Refuse an input of another size for a teacher.

        Args:
            name (str): The teacher.
            what (str): The sizes; begins the message.

        Raises:
            ConfigError: The distiller requires inputs of equal size.
        """
        needs = self.requirements
        if needs.equal_size:
            raise ConfigError(
                f'DenseDistill: {what}, but {self.describe()} compares both on one grid'
                f"{needs.size_remedy}; give the teacher an input of the size of the student's"
            )

    @abstractmethod
    def record_teacher(self, name: str) -> AbstractContextManager[Record]:
        """Return the context in which the teacher of this name runs; it yields the record."""

    @abstractmethod
    def record_student(self) -> AbstractContextManager[Record]:
        """Return the context in which the student runs; it yields the record."""

    @abstractmethod
    def step_losses(self, student: Record, teachers: Mapping[str, Record]) -> Losses:
        """Return the losses of a step.

        Args:
            student (Record): Of the student.
            teachers (Mapping): Records of the teachers that ran, by name.

        Returns:
            dict: Keys that contain ``loss`` are added to the total; others are logged only.
        """

    def idle_losses(self) -> Losses:
        """Return what is logged in a step in which the distiller takes no part."""
        return {}

    def describe(self) -> str:
        """Return the class name that configs use, for messages."""
        return type(self).__name__


@dataclass(frozen=True)
class Recorders:
    """The recorders of a pair, by name; a record has the same names.

    Attributes:
        student (dict): Open during the student's forward.
        teacher (dict): Open during the teacher's forward.
    """

    student: Mapping[str, Recorder] = field(default_factory=dict)
    teacher: Mapping[str, Recorder] = field(default_factory=dict)


class DenseDistiller(BaseModule, Distiller):
    """Base class of distillers that compare a student with one teacher.

    A subclass writes two methods, ``prepare`` and ``compute_losses``, and sets
    ``requirements`` (on the class or in ``__init__``) where they differ from the defaults.

    The models are not registered as submodules: a distiller does not own them.

    Raises:
        TypeError: When a subclass is defined with methods or attributes of the earlier interface;
            the message names what replaces them.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, replacement in _REPLACED.items():
            if name in vars(cls):
                raise TypeError(
                    f'{cls.__name__} defines {name}, which DenseDistill no longer '
                    f'reads; use {replacement}'
                )

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        # In a list, which nn.Module does not register.
        self._students: list[BaseModel] = []
        self._recorders = Recorders()

    @abstractmethod
    def prepare(self, student: BaseModel, teacher: BaseModel | None) -> Recorders:
        """Check the pair and return the recorders; called once, at build time.

        Raises:
            ConfigError: The pair cannot work; the message names both sides.
        """

    @abstractmethod
    def compute_losses(self, student: Record, teacher: Record) -> Losses:
        """Return the losses of a step.

        Args:
            student (Record): What the student's recorders kept, by their names.
            teacher (Record): What the teacher's recorders kept.

        Returns:
            dict: Keys that contain ``loss`` are added to the total; others are logged only.
        """

    @property
    def student(self) -> BaseModel:
        """The student that was attached."""
        return self._students[0]

    def attach(self, student: BaseModel, teachers: Mapping[str, BaseModel | None]) -> None:
        """See ``Distiller.attach``."""
        self._students = [student]
        recorders = self.prepare(student, only_teacher(self, teachers))
        if not isinstance(recorders, Recorders):
            raise ConfigError(
                f'{self.describe()}.prepare() returned {type(recorders).__name__}; '
                'return Recorders(student=..., teacher=...)'
            )
        self._recorders = recorders

    def record_teacher(self, name: str) -> AbstractContextManager[Record]:
        """See ``Distiller.record_teacher``."""
        return recording(self._recorders.teacher)

    def record_student(self) -> AbstractContextManager[Record]:
        """See ``Distiller.record_student``."""
        return recording(self._recorders.student)

    def step_losses(self, student: Record, teachers: Mapping[str, Record]) -> Losses:
        """See ``Distiller.step_losses``."""
        return self.compute_losses(student, next(iter(teachers.values())))


def only_teacher(
    distiller: Distiller, teachers: Mapping[str, BaseModel | None]
) -> BaseModel | None:
    """Return the only teacher.

    Raises:
        ConfigError: There are several.
    """
    if len(teachers) > 1:
        raise ConfigError(
            f'DenseDistill: {distiller.describe()} compares with one teacher, there are '
            f'{list(teachers)}; use CompositeDistiller, whose distillers name their teacher'
        )
    return next(iter(teachers.values()))
