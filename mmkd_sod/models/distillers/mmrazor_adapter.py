"""mmrazor's distillers behind this package's interface."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from mmengine.model import BaseModel
from mmrazor.models.distillers import ConfigurableDistiller
from mmrazor.models.task_modules.recorder import ModuleOutputsRecorder
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.recorders import Record, check_gradient, recording

from .base import Distiller, Losses, Requirements, only_teacher
from .connectors import ValidPositions


def _refuse_blind(recorder: ModuleOutputsRecorder, module: nn.Module, *_) -> None:
    """Forward hook: refuse a record without its gradient."""
    if recorder.recording:
        check_gradient(recorder.source, module, 'output')


class MMRazorAdapter(Distiller):
    """Call a distiller of mmrazor as a ``Distiller``.

    mmrazor's recorders keep what they record until the losses are computed, so the records that are
    handed over are empty, except for the sizes of images, where ``ValidPositions`` needs them. The
    recorders are emptied after each step; mmrazor keeps the features until the next one.

    Args:
        module (ConfigurableDistiller): A distiller of mmrazor, or of a subclass.
    """

    # Its recorders may read what an in-place activation overwrites; sizes are up to its losses.
    requirements = Requirements(inplace_off=True, equal_size=False)

    def __init__(self, module: ConfigurableDistiller) -> None:
        self.module = module
        self._valid = [
            part for part in module.connectors.values() if isinstance(part, ValidPositions)
        ]

    def describe(self) -> str:
        """See ``Distiller.describe``."""
        return type(self.module).__name__

    def attach(self, student: BaseModel, teachers: Mapping[str, BaseModel | None]) -> None:
        """See ``Distiller.attach``."""
        teacher = only_teacher(self, teachers)
        modules = dict(student.named_modules())
        for recorder in self.module.student_recorders.recorders.values():
            if isinstance(recorder, ModuleOutputsRecorder) and recorder.source in modules:
                # As mmrazor's own hook, which stays on the module too.
                modules[recorder.source].register_forward_hook(partial(_refuse_blind, recorder))
        for connector in self._valid:
            connector.attach(student)
        self.module.prepare_from_student(student)
        self.module.prepare_from_teacher(teacher)

    @contextmanager
    def record_teacher(self, name: str) -> Iterator[Record]:
        """See ``Distiller.record_teacher``."""
        self.module.set_deliveries_override(False)
        with self.module.teacher_recorders, self.module.deliveries:
            yield {}

    @contextmanager
    def record_student(self) -> Iterator[Record]:
        """See ``Distiller.record_student``."""
        self.module.set_deliveries_override(True)
        sizes = dict(enumerate(connector.sizes() for connector in self._valid))
        with recording(sizes) as record, self.module.student_recorders, self.module.deliveries:
            yield record

    def step_losses(self, student: Record, teachers: Mapping[str, Record]) -> Losses:
        """See ``Distiller.step_losses``."""
        for index, connector in enumerate(self._valid):
            connector.fractions = student[index][-1]
        try:
            return self.module.compute_distill_losses()
        finally:
            for manager in (self.module.student_recorders, self.module.teacher_recorders):
                for recorder in manager.recorders.values():
                    recorder.reset_data_buffer()


def as_distiller(module: nn.Module) -> Distiller:
    """Return the interface of a distiller that was built from a config.

    Args:
        module (nn.Module): A distiller of this package, returned as it is, or one of mmrazor.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(module, Distiller):
        return module
    if isinstance(module, ConfigurableDistiller):
        return MMRazorAdapter(module)
    raise ConfigError(
        f'DenseDistill: distiller builds a {type(module).__name__}; give a distiller '
        "of mmkd_sod or mmrazor's ConfigurableDistiller"
    )
