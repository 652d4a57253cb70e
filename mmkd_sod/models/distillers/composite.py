"""Several distillers at once."""
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from mmengine.model import BaseModel
from mmrazor.models.distillers import BaseDistiller
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .averaged import AveragedTeachers
from .base import DenseDistiller, Losses
from .memory_layout import takes_any_layout
from .parts import Part, idle_loss, read_part


@MODELS.register_module()
class CompositeDistiller(DenseDistiller):
    """Adds up the losses of several distillers, which know nothing of each other.

    Any distiller of this package and mmrazor's ``ConfigurableDistiller`` can take part; CrossKD
    with a PKD feature term, for instance, is ``CrossKDDistiller`` beside a
    ``ConfigurableDistiller`` with mmrazor's ``PKDLoss``. An entry is a distiller's config, or::

        dict(distiller=dict(type='mmkd_sod.CSKDDistiller'), name='cskd', teacher='big',
             weight=0.5, begin=0, end=10, warmup=2, decay=3, curve='linear', by_epoch=True)

    - ``name`` goes before the names of its losses (``distill.cskd.loss_cwd``), so that two
      distillers of one kind can stand side by side;
    - ``teacher`` is the name of one of several teachers (``DenseDistill(teacher=dict(big=...,
      small=...))``); a list of names stands for the average of their logits
      (:class:`~mmkd_sod.models.distillers.averaged.AveragedTeachers`);
    - the others are those of :class:`~mmkd_sod.models.distillers.weight_schedule.WeightSchedule`.
      ``mmkd_sod.EpochScheduleHook`` among ``custom_hooks`` tells epoch and iteration, also after a
      resume.

    A distiller of weight 0 is switched off: nothing is recorded or computed for it, and a teacher
    that no other distiller needs does not run. Its losses are logged as 0, once they were seen. The
    current weight of a distiller whose weight changes is logged as ``weight_<name or number>``.

    Args:
        distillers (Sequence[dict]): At least one entry. Losses must differ in their names.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: No distiller is given, a setting is out of range, a teacher is not there, or
            two distillers name a loss alike.
    """

    def __init__(self, distillers: Sequence[dict], init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not distillers:
            raise ConfigError('CompositeDistiller: distillers is empty; give at least one')
        read = [read_part(cfg, position) for position, cfg in enumerate(distillers)]
        self.parts: list[Part] = [part for _, part in read]
        self.distillers = nn.ModuleList(MODELS.build(cfg) for cfg, _ in read)
        self._averages: dict[tuple[str, ...], AveragedTeachers] = {}

    def _pairs(self, on: bool = True):
        """The distillers that are on, or off, each with its part."""
        return [(distiller, part)
                for distiller, part in zip(self.distillers, self.parts, strict=True)
                if (part.on and getattr(distiller, 'active', True)) is on]

    @property
    def active(self) -> bool:
        """Whether a distiller takes part in the current step."""
        return bool(self._pairs())

    @property
    def counts_epochs(self) -> bool:
        """Whether a weight of its own follows the epoch."""
        return any(part.schedule.by_epoch and not part.schedule.constant for part in self.parts)

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch runs, counted from 0."""
        for part in self.parts:
            part.tell(epoch, by_epoch=True)

    def set_iter(self, iteration: int) -> None:
        """Tell which iteration runs, counted from 0."""
        for part in self.parts:
            part.tell(iteration, by_epoch=False)

    @property
    def needs_inplace_off(self) -> bool:
        """Whether one of the distillers wants in-place activations off."""
        return any(getattr(d, 'needs_inplace_off', True) for d in self.distillers)

    @property
    def needs_student_targets(self) -> bool:
        """Whether a distiller reads the student's training targets in the current step."""
        return any(getattr(d, 'needs_student_targets', False) for d, _ in self._pairs())

    @property
    def needs_teacher(self) -> bool:
        """Whether one of the distillers needs a teacher."""
        return any(getattr(d, 'needs_teacher', True) for d in self.distillers)

    @property
    def any_teacher_size(self) -> bool:
        """Whether each of the distillers takes maps of any size."""
        return all(getattr(d, 'any_teacher_size', True) for d in self.distillers)

    @property
    def any_layout(self) -> bool:
        """Whether each of the distillers takes the teachers' heads' maps in any format."""
        return all(map(takes_any_layout, self.distillers))

    def distillers_of(self, teacher: str) -> list[BaseDistiller]:
        """The distillers that compare the student with this teacher alone."""
        return [distiller for distiller, part in zip(self.distillers, self.parts, strict=True)
                if part.teachers == (teacher, )]

    def prepare(self, student: BaseModel, teacher: BaseModel | None) -> None:
        """Let every distiller look at the pair."""
        self._models = [student, teacher]
        self.prepare_from_teachers({'': teacher})

    def prepare_from_teachers(self, teachers: Mapping[str, BaseModel | None]) -> None:
        """As ``prepare_from_teacher``, for one teacher or several by name.

        Raises:
            ConfigError: A distiller does not say which of several teachers it means, or names one
                that is not there.
        """
        self._models = [*self._models[:1], next(iter(teachers.values()))]
        for position, (distiller, part) in enumerate(
                zip(self.distillers, self.parts, strict=True)):
            distiller.prepare_from_student(self.student)
            teacher = None
            if getattr(distiller, 'needs_teacher', True):
                teacher = self._teacher_of(part, position, teachers)
            distiller.prepare_from_teacher(teacher)

    def _teacher_of(self, part: Part, position: int, teachers: Mapping) -> nn.Module:
        named = [name for name in teachers if name]
        if not part.teachers:
            if len(teachers) > 1:
                raise ConfigError(
                    f'CompositeDistiller: distillers[{position}] does not say which teacher it '
                    f'means, there are {named}; set its teacher')
            part.teachers = tuple(teachers)
        missing = [name for name in part.teachers if name not in teachers]
        if missing:
            raise ConfigError(
                f"CompositeDistiller: distillers[{position}].teacher names '{missing[0]}', "
                f'DenseDistill has {named or "one teacher without a name"}; give it there as '
                f'teacher=dict({missing[0]}=...)')
        if len(part.teachers) == 1:
            return teachers[part.teachers[0]]
        if part.teachers not in self._averages:
            self._averages[part.teachers] = AveragedTeachers(
                {name: teachers[name] for name in part.teachers})
        return self._averages[part.teachers]

    @property
    def active_teachers(self) -> set[str]:
        """Names of the teachers that have to run in the current step."""
        return {name for _, part in self._pairs() for name in part.teachers}

    @contextmanager
    def _enter(self, name: str, pairs):
        with ExitStack() as stack:
            for distiller, _ in pairs:
                stack.enter_context(getattr(distiller, name))
            yield

    @contextmanager
    def records_of(self, teacher: str):
        """Context in which one of several teachers runs."""
        on = {part.teachers for _, part in self._pairs()}
        with ExitStack() as stack:
            for names, average in self._averages.items():
                if teacher in names and names in on:
                    stack.enter_context(average.recorder(teacher))
            pairs = [pair for pair in self._pairs() if pair[1].teachers == (teacher, )]
            stack.enter_context(self._enter('teacher_recorders', pairs))
            stack.enter_context(self._enter('deliveries', pairs))
            yield

    def finish_teachers(self) -> None:
        """Average, once all teachers of the current step have run."""
        for names, average in self._averages.items():
            pairs = [pair for pair in self._pairs() if pair[1].teachers == names]
            if pairs:
                with self._enter('teacher_recorders', pairs):
                    average()

    @property
    def student_recorders(self):
        """Context in which the student's forward runs."""
        return self._enter('student_recorders', self._pairs())

    @property
    def teacher_recorders(self):
        """Context in which the only teacher's forward runs."""
        return self._enter('teacher_recorders', self._pairs())

    @property
    def deliveries(self):
        """Deliveries of mmrazor's distillers among them."""
        return self._enter('deliveries', self._pairs())

    def set_deliveries_override(self, override: bool) -> None:
        """Whether deliveries hand the teacher's data to the student."""
        for distiller, _ in self._pairs():
            distiller.set_deliveries_override(override)

    def compute_distill_losses(self) -> Losses:
        """Losses of the distillers that are on, in their order."""
        losses: Losses = {}
        for distiller, part in self._pairs():
            for name, loss in part.weigh(distiller.compute_distill_losses()).items():
                if name in losses:
                    raise ConfigError(f"CompositeDistiller: two distillers name a loss '{name}'; "
                                      "rename one, or give their entries a 'name' each")
                losses[name] = loss
        losses.update(self.idle_losses())
        return losses

    def idle_losses(self) -> Losses:
        """What is logged of distillers that are off, and 0 for what they learn."""
        device = next(self.student.parameters()).device
        off = self._pairs(on=False)
        losses: Losses = {name: torch.zeros((), device=device)
                          for _, part in off for name in part.logged}
        for position, part in enumerate(self.parts):
            if not part.schedule.constant and part.factor is not None:
                label = position if part.name is None else part.name
                losses[f'weight_{label}'] = torch.tensor(float(part.factor), device=device)
        losses.update(idle_loss(*(distiller for distiller, _ in off)))
        return losses

    def clear(self) -> None:
        """Forget what the recorders kept."""
        for average in self._averages.values():
            average.clear()
        for distiller in self.distillers:
            clear_records(distiller)


def clear_records(distiller: BaseDistiller) -> None:
    """Empty a distiller's recorders; mmrazor's would hold features until the next step."""
    if hasattr(distiller, 'clear'):
        distiller.clear()
        return
    for name in ('student_recorders', 'teacher_recorders'):
        for recorder in getattr(getattr(distiller, name), 'recorders', {}).values():
            recorder.reset_data_buffer()
