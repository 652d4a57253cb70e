"""Several distillers at once."""
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager

from mmengine.model import BaseModel
from mmrazor.models.distillers import BaseDistiller
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

from .base import DenseDistiller, Losses


@MODELS.register_module()
class CompositeDistiller(DenseDistiller):
    """Adds up the losses of several distillers, which know nothing of each other.

    Any distiller of this package and mmrazor's ``ConfigurableDistiller`` can take part; CrossKD
    with a PKD feature term, for instance, is ``CrossKDDistiller`` beside a
    ``ConfigurableDistiller`` with mmrazor's ``PKDLoss``.

    Args:
        distillers (Sequence[dict]): Configs of at least one distiller. Their losses keep their
            names, which must differ.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: No distiller is given, or two of them name a loss alike.
    """

    def __init__(self, distillers: Sequence[dict], init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if not distillers:
            raise ConfigError('CompositeDistiller: distillers is empty; give at least one')
        self.distillers = nn.ModuleList(MODELS.build(cfg) for cfg in distillers)

    @property
    def needs_inplace_off(self) -> bool:
        """Whether one of the distillers wants in-place activations off."""
        return any(getattr(d, 'needs_inplace_off', True) for d in self.distillers)

    @property
    def needs_student_targets(self) -> bool:
        """Whether one of the distillers reads the student's training targets."""
        return any(getattr(d, 'needs_student_targets', False) for d in self.distillers)

    def prepare(self, student: BaseModel, teacher: BaseModel) -> None:
        """Let every distiller look at the pair."""
        for distiller in self.distillers:
            distiller.prepare_from_student(student)
            distiller.prepare_from_teacher(teacher)

    @contextmanager
    def _enter_all(self, name: str):
        with ExitStack() as stack:
            for distiller in self.distillers:
                stack.enter_context(getattr(distiller, name))
            yield

    @property
    def student_recorders(self):
        """Context in which the student's forward runs."""
        return self._enter_all('student_recorders')

    @property
    def teacher_recorders(self):
        """Context in which the teacher's forward runs."""
        return self._enter_all('teacher_recorders')

    @property
    def deliveries(self):
        """Deliveries of mmrazor's distillers among them."""
        return self._enter_all('deliveries')

    def set_deliveries_override(self, override: bool) -> None:
        """Whether deliveries hand the teacher's data to the student."""
        for distiller in self.distillers:
            distiller.set_deliveries_override(override)

    def compute_distill_losses(self) -> Losses:
        """Losses of all distillers, in their order."""
        losses: Losses = {}
        for distiller in self.distillers:
            for name, loss in distiller.compute_distill_losses().items():
                if name in losses:
                    raise ConfigError(f"CompositeDistiller: two distillers name a loss '{name}'; "
                                      'rename one')
                losses[name] = loss
        return losses

    def clear(self) -> None:
        """Forget what the recorders kept."""
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
