"""One teacher or several, each frozen, each with its own input."""

from collections.abc import Callable, Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.distillers.base import Distiller
from mmkd_sod.models.recorders import Record

from .foreign import ForeignTeacher
from .frozen_teacher import AbsentTeacher, FrozenTeacher
from .teacher_input import TeacherInput, equal_size


def is_named(teacher) -> bool:
    """Return whether a ``teacher`` setting holds several teachers by name, not one model."""
    return (
        isinstance(teacher, dict)
        and bool(teacher)
        and not {'type', 'cfg_path'} & set(teacher)
        and all(isinstance(value, (dict, BaseModel)) for value in teacher.values())
    )


def _by_name(setting: str, value, names: Sequence[str]) -> dict:
    """Return a setting of several teachers as name to value, None where it has no entry."""
    if value is None:
        return dict.fromkeys(names)
    if not isinstance(value, dict):
        raise ConfigError(
            f'DenseDistill: {setting}={value!r}, but there are the teachers '
            f'{list(names)}; give a dict with an entry for each'
        )
    unknown = sorted(set(value) - set(names))
    if unknown:
        raise ConfigError(
            f"DenseDistill: {setting} names '{unknown[0]}', there are the teachers "
            f'{list(names)}; use these names'
        )
    return {name: value.get(name) for name in names}


def build_teachers(teacher, ckpt, allow_missing, teacher_input, **speed) -> 'Teachers':
    """Build the teachers from the arguments of ``DenseDistill``.

    Args:
        teacher (dict | BaseModel, optional): One, or several by name.
        ckpt (str | dict, optional): Its weights, or those of several by name.
        allow_missing (Sequence[str] | dict): For all, or by name.
        teacher_input (dict, optional): Arguments of ``TeacherInput``, or of several by name.
        speed: ``fold_bn``, ``channels_last``, ``autocast``, ``compile``, ``exact`` and ``dtype``,
            for all.

    Raises:
        ConfigError: A setting names a teacher that does not exist.
    """
    if not is_named(teacher):
        if isinstance(ckpt, dict):
            raise ConfigError(
                f'DenseDistill: teacher_ckpt names {sorted(ckpt)}, but there is one '
                'teacher; give a path, or teacher=dict(name=..., ...)'
            )
        teacher, ckpt = {'': teacher}, {'': ckpt}
        missing, inputs = {'': allow_missing}, {'': teacher_input}
    else:
        names = tuple(teacher)
        ckpt = _by_name('teacher_ckpt', ckpt, names)
        missing = (
            _by_name('teacher_allow_missing', allow_missing, names)
            if isinstance(allow_missing, dict)
            else dict.fromkeys(names, allow_missing)
        )
        inputs = _by_name('teacher_input', teacher_input, names)
    frozen = {
        name: AbsentTeacher()
        if cfg is None
        else _freeze(
            build_model(cfg, f'teacher.{name}' if name else 'teacher'),
            ckpt[name],
            isinstance(cfg, BaseModel),
            allow_missing=missing[name] or (),
            **speed,
        )
        for name, cfg in teacher.items()
    }
    return Teachers(
        frozen, {name: None if cfg is None else TeacherInput(**cfg) for name, cfg in inputs.items()}
    )


def _freeze(model: BaseModel, ckpt: str | None, built: bool, **options) -> FrozenTeacher:
    """Freeze a teacher, which was built from a config unless it was given ``built``."""
    foreign = isinstance(model, ForeignTeacher)
    if foreign and ckpt is not None:
        raise ConfigError(
            f"DenseDistill: teacher_ckpt='{ckpt}' is given, but {type(model).__name__} has the "
            f"weights of '{model.file}'; leave teacher_ckpt out"
        )
    return FrozenTeacher(model, ckpt, trusted=built or foreign, **options)


class Teachers:
    """The frozen teachers of a student. Like ``FrozenTeacher``, not an ``nn.Module``.

    Args:
        frozen (dict): Name to teacher; the only one has the name ''.
        inputs (dict): Name to ``TeacherInput``; None where it gets the student's input.
    """

    def __init__(
        self,
        frozen: dict[str, FrozenTeacher | AbsentTeacher],
        inputs: dict[str, TeacherInput | None],
    ) -> None:
        self.frozen = frozen
        self.inputs = inputs
        if inputs.get('') is not None and self.first.module is None:
            raise ConfigError(
                'DenseDistill: teacher_input is given, but teacher=None; leave it out'
            )

    @property
    def first(self) -> FrozenTeacher | AbsentTeacher:
        """The only teacher, or the first."""
        return next(iter(self.frozen.values()))

    @property
    def modules(self) -> dict[str, BaseModel]:
        """The teachers' networks by name."""
        return {
            name: frozen.module for name, frozen in self.frozen.items() if frozen.module is not None
        }

    def __deepcopy__(self, memo) -> 'Teachers':
        return self.share(memo)

    def share(self, memo: dict) -> 'Teachers':
        """Tell ``copy.deepcopy`` that copies use these teachers as they are."""
        memo[id(self)] = self
        for frozen in self.frozen.values():
            frozen.share(memo)
        return self

    def move(self, fn: Callable[[Tensor], Tensor]) -> None:
        """Apply a function such as that of ``nn.Module.to`` to each teacher."""
        for frozen in self.frozen.values():
            frozen.move(fn)

    def load(self) -> None:
        """Load and check the weights of each, once.

        Raises:
            CheckpointError: The weights of one are missing or do not fit.
        """
        for frozen in self.frozen.values():
            frozen.load()

    def attach(self, distiller: Distiller, student: BaseModel, preprocessor: nn.Module) -> None:
        """Attach a distiller to the student and the teachers.

        Args:
            distiller (Distiller): The distiller.
            student (BaseModel): The student.
            preprocessor (nn.Module): The data preprocessor of the student's batches.

        Raises:
            ConfigError: It cannot work with these models, or with an input of another size.
        """
        distiller.attach(student, {name: frozen.module for name, frozen in self.frozen.items()})
        for name, teacher_input in self.inputs.items():
            if teacher_input is not None:
                teacher_input.bind(preprocessor, self.frozen[name].module)
            if teacher_input is not None and teacher_input.scale not in (None, 1):
                distiller.check_teacher_size(name, f'teacher_input.scale={teacher_input.scale}')

    def __call__(
        self, distiller: Distiller, inputs: Tensor, data_samples: list | None
    ) -> dict[str, Record]:
        """Run the teachers that the current step needs.

        Args:
            distiller (Distiller): The distiller, which records them.
            inputs (Tensor): The student's batch, (N, C, H, W), preprocessed.
            data_samples (list, optional): Its samples.

        Returns:
            dict: The record of each teacher that ran, by name.
        """
        records: dict[str, Record] = {}
        for name, frozen in self.frozen.items():
            if distiller.runs_teacher(name):
                frozen.follow(inputs.device)
                frozen.tune()  # before a recorder is open
                batch = self._batch(distiller, name, inputs, data_samples)
                with torch.no_grad(), distiller.record_teacher(name) as records[name]:
                    frozen(*batch, features_only=distiller.requirements.features_only)
        return records

    def _batch(
        self, distiller: Distiller, name: str, inputs: Tensor, data_samples: list | None
    ) -> tuple[Tensor, list | None]:
        teacher_input = self.inputs[name]
        if teacher_input is None:
            return inputs, data_samples
        batch = teacher_input(inputs, data_samples, self.frozen[name].module)
        if not equal_size(inputs, batch[0]):
            distiller.check_teacher_size(
                name,
                f'the teacher gets {tuple(batch[0].shape[2:])}, the student '
                f'{tuple(inputs.shape[2:])} (height, width)',
            )
        return batch
