"""Several distillers at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from mmengine.model import BaseModel, BaseModule
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import Record, recording
from mmkd_sod.registry import MODELS

from .averaged import AveragedTeachers
from .base import Distiller, Losses, Requirements
from .entries import Entry, idle_loss, read_entry
from .mmrazor_adapter import as_distiller


@MODELS.register_module()
class CompositeDistiller(BaseModule, Distiller):
    """Add up the losses of several distillers, which know nothing of each other.

    Any distiller of this package and mmrazor's ``ConfigurableDistiller`` can take part; CrossKD
    with a PKD feature term, for instance, is ``CrossKDDistiller`` beside a
    ``ConfigurableDistiller`` with mmrazor's ``PKDLoss``. An entry is a distiller's config, or::

        dict(distiller=dict(type='mmkd_sod.CSKDDistiller'), name='cskd', teacher='big',
             weight=0.5, begin=0, end=10, warmup=2, decay=3, curve='linear', by_epoch=True)

    - ``name`` becomes a prefix of the names of its losses (``distill.cskd.loss_cwd``), so that two
      distillers of one type can be combined;
    - ``teacher`` names one of several teachers (``DenseDistill(teacher=dict(big=...,
      small=...))``); a list of names stands for the average of their logits
      (``mmkd_sod.models.distillers.averaged.AveragedTeachers``);
    - the other settings are those of
      ``mmkd_sod.models.distillers.weight_schedule.WeightSchedule``.
      ``mmkd_sod.EpochScheduleHook`` in ``custom_hooks`` sets epoch and iteration, also after a
      resume.

    A distiller of weight 0 is switched off: nothing is recorded or computed for it, and a teacher
    that no other distiller needs does not run. Its losses are logged as 0 once they were logged
    before. The current weight of a distiller with a schedule is logged as ``weight_<name or
    index>``.

    Args:
        distillers (Sequence[dict]): At least one entry. Losses must differ in their names.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: No distiller is given, a setting is out of range, a teacher does not exist, or
            two distillers use one name for a loss.
    """

    def __init__(self, distillers: Sequence[dict], init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not distillers:
            raise ConfigError('CompositeDistiller: distillers is empty; give at least one')
        read = [read_entry(cfg, position) for position, cfg in enumerate(distillers)]
        self.entries: list[Entry] = [entry for _, entry in read]
        self.distillers = nn.ModuleList(MODELS.build(cfg) for cfg, _ in read)
        self._interfaces: list[Distiller] = [as_distiller(module) for module in self.distillers]
        self._averages: dict[tuple[str, ...], AveragedTeachers] = {}
        self._students: list[BaseModel] = []

    def _active(self) -> list[tuple[int, Distiller, Entry]]:
        """Distillers that take part in the current step, with their index and settings."""
        return [
            (position, distiller, entry)
            for position, (distiller, entry) in enumerate(
                zip(self._interfaces, self.entries, strict=True)
            )
            if entry.on and distiller.active
        ]

    @property
    def active(self) -> bool:
        """Whether a distiller takes part in the current step."""
        return bool(self._active())

    @property
    def counts_epochs(self) -> bool:
        """Whether a weight in ``distillers`` follows the epoch."""
        return any(
            entry.schedule.by_epoch and not entry.schedule.constant for entry in self.entries
        )

    def set_epoch(self, epoch: int) -> None:
        """Set the current epoch, counted from 0."""
        for entry in self.entries:
            entry.update(epoch, by_epoch=True)

    def set_iter(self, iteration: int) -> None:
        """Set the current iteration, counted from 0."""
        for entry in self.entries:
            entry.update(iteration, by_epoch=False)

    @property
    def requirements(self) -> Requirements:  # type: ignore[override]
        """What the distillers require together; targets for those of the current step alone."""
        each = [distiller.requirements for distiller in self._interfaces]
        return Requirements(
            teacher=any(one.teacher for one in each),
            inplace_off=any(one.inplace_off for one in each),
            student_targets=any(
                distiller.requirements.student_targets for _, distiller, _ in self._active()
            ),
            student_loss=all(one.student_loss for one in each),
            equal_size=any(one.equal_size for one in each),
            features_only=all(one.features_only for one in each),
        )

    def check_teacher_size(self, name: str, what: str) -> None:
        """See ``Distiller.check_teacher_size``; averaged logits may differ in size."""
        for distiller, entry in zip(self._interfaces, self.entries, strict=True):
            if entry.teachers == (name,):
                distiller.check_teacher_size(name, what)

    def attach(self, student: BaseModel, teachers: Mapping[str, BaseModel | None]) -> None:
        """See ``Distiller.attach``.

        Raises:
            ConfigError: A distiller does not name one of several teachers, or names one that does
                not exist.
        """
        self._students = [student]
        for position, (distiller, entry) in enumerate(
            zip(self._interfaces, self.entries, strict=True)
        ):
            teacher = None
            if distiller.requirements.teacher:
                teacher = self._teacher_of(entry, position, teachers)
            distiller.attach(student, {'': teacher})

    def _teacher_of(
        self, entry: Entry, position: int, teachers: Mapping[str, BaseModel | None]
    ) -> nn.Module | None:
        named = [name for name in teachers if name]
        if not entry.teachers:
            if len(teachers) > 1:
                raise ConfigError(
                    f'CompositeDistiller: distillers[{position}] does not name its teacher, there '
                    f'are {named}; set its teacher'
                )
            entry.teachers = tuple(teachers)
        missing = [name for name in entry.teachers if name not in teachers]
        if missing:
            raise ConfigError(
                f"CompositeDistiller: distillers[{position}].teacher names '{missing[0]}', "
                f'DenseDistill has {named or "one teacher without a name"}; give it there as '
                f'teacher=dict({missing[0]}=...)'
            )
        if len(entry.teachers) == 1:
            return teachers[entry.teachers[0]]
        if entry.teachers not in self._averages:
            self._averages[entry.teachers] = AveragedTeachers(
                {name: teachers[name] for name in entry.teachers}
            )
        return self._averages[entry.teachers]

    def runs_teacher(self, name: str) -> bool:
        """See ``Distiller.runs_teacher``."""
        return any(name in entry.teachers for _, _, entry in self._active())

    @contextmanager
    def record_student(self) -> Iterator[Record]:
        """See ``Distiller.record_student``; the record holds each distiller's by index."""
        with ExitStack() as stack:
            yield {
                position: stack.enter_context(distiller.record_student())
                for position, distiller, _ in self._active()
            }

    @contextmanager
    def record_teacher(self, name: str) -> Iterator[Record]:
        """See ``Distiller.record_teacher``.

        The record holds that of each distiller of this teacher by index, and the outputs of the
        head by the names of each average that it is part of.
        """
        active = self._active()
        averages = {
            names: self._averages[names].recorder(name)
            for names in {entry.teachers for _, _, entry in active}
            if len(names) > 1 and name in names
        }
        with ExitStack() as stack:
            record = stack.enter_context(recording(averages))
            for position, distiller, entry in active:
                if entry.teachers == (name,):
                    record[position] = stack.enter_context(distiller.record_teacher(''))
            yield record

    def _teacher_record(
        self,
        position: int,
        distiller: Distiller,
        names: tuple[str, ...],
        teachers: Mapping[str, Record],
    ) -> Record:
        """The record of one distiller's teacher, or of the average of several."""
        if not names:
            return {}
        if len(names) == 1:
            return teachers[names[0]][position]
        with torch.no_grad(), distiller.record_teacher('') as record:
            self._averages[names]({name: teachers[name][names] for name in names})
        return record

    def step_losses(self, student: Record, teachers: Mapping[str, Record]) -> Losses:
        """See ``Distiller.step_losses``."""
        losses: Losses = {}
        for position, distiller, entry in self._active():
            teacher = self._teacher_record(position, distiller, entry.teachers, teachers)
            found = entry.weigh(distiller.step_losses(student[position], {'': teacher}))
            for name, loss in found.items():
                if name in losses:
                    raise ConfigError(
                        f'CompositeDistiller: two distillers use the loss name '
                        f"'{name}'; rename one, or give each entry a 'name'"
                    )
                losses[name] = loss
        losses.update(self.idle_losses())
        return losses

    def idle_losses(self) -> Losses:
        """Return the zeros of inactive distillers and the current weights."""
        device = next(self._students[0].parameters()).device
        active = {position for position, _, _ in self._active()}
        losses: Losses = {}
        for position, entry in enumerate(self.entries):
            if position not in active:
                losses.update({name: torch.zeros((), device=device) for name in entry.logged})
            if not entry.schedule.constant and entry.factor is not None:
                label = position if entry.name is None else entry.name
                losses[f'weight_{label}'] = torch.tensor(float(entry.factor), device=device)
        losses.update(
            idle_loss(
                *(
                    module
                    for position, module in enumerate(self.distillers)
                    if position not in active
                )
            )
        )
        return losses
