"""What DenseDistill asks of a distiller."""
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from mmengine.model import BaseModel
from mmrazor.models.distillers import BaseDistiller
from torch import Tensor

Losses = dict[str, Tensor | list[Tensor]]


class DenseDistiller(BaseDistiller):
    """Base of the distillers of this package.

    A subclass writes two methods:

    - :meth:`prepare` looks at both models once, at build time. It refuses a pair that cannot work
      with a :class:`~mmkd_sod.errors.ConfigError` that names both sides, and sets
      ``self.student_taps`` and ``self.teacher_taps``: recorders (context managers with ``clear()``)
      that are open during the student's and the teacher's forward.
    - :meth:`compute_distill_losses` reads the recorders and returns a dict of losses; a key that
      contains ``loss`` is added to the total, any other is logged only.

    It speaks the protocol of mmrazor's distillers (``prepare_from_student``,
    ``prepare_from_teacher``, ``student_recorders``, ``teacher_recorders``, ``deliveries``), so a
    ``ConfigurableDistiller`` and a subclass of this class can stand in for each other.

    Models are kept in plain lists: a distiller does not own them and must not register them.
    """

    # Activations in place overwrite what a recorder kept of the layer before. Distillers that read
    # only final outputs of blocks leave the models as they are.
    needs_inplace_off = False

    # Whether the student has to run its task loss even when the total leaves it out: true when the
    # distiller reads the student's training targets.
    needs_student_targets = False

    # Whether there has to be a teacher; a distiller of targets from files needs none and is
    # prepared with ``teacher=None``.
    needs_teacher = True

    # Whether the teacher's input may be of another size than the student's: true for distillers
    # that bring maps to one size themselves. What to do about it goes into the message.
    any_teacher_size = False
    size_remedy = ''

    # Whether maps of the teacher's head may lie in memory in any format. Where they may, a teacher
    # on a CPU keeps its head's weights laid out, and the head answers in channels_last.
    any_layout = False

    def __init__(self, init_cfg=None) -> None:
        super().__init__(init_cfg)
        self._models: list[BaseModel] = []
        self.student_taps: Sequence = ()
        self.teacher_taps: Sequence = ()

    @property
    def student(self) -> BaseModel:
        """The student that was prepared."""
        return self._models[0]

    @property
    def teacher(self) -> BaseModel:
        """The teacher that was prepared."""
        return self._models[1]

    def prepare(self, student: BaseModel, teacher: BaseModel) -> None:
        """Check the pair and set ``student_taps`` and ``teacher_taps``; called once."""
        raise NotImplementedError

    def prepare_from_student(self, model: BaseModel) -> None:
        """mmrazor's protocol, first half: remember the student."""
        self._models = [model]

    def prepare_from_teacher(self, model: BaseModel) -> None:
        """mmrazor's protocol, second half: remember the teacher and :meth:`prepare`."""
        self._models = [*self._models[:1], model]
        self.prepare(*self._models)

    @contextmanager
    def _open(self, taps: Sequence) -> Iterator[None]:
        with ExitStack() as stack:
            for tap in taps:
                stack.enter_context(tap)
            yield

    @property
    def student_recorders(self):
        """Context in which the student's forward runs."""
        return self._open(self.student_taps)

    @property
    def teacher_recorders(self):
        """Context in which the teacher's forward runs."""
        return self._open(self.teacher_taps)

    @property
    def deliveries(self):
        """mmrazor's protocol; these distillers deliver nothing from teacher to student."""
        return ExitStack()

    def set_deliveries_override(self, override: bool) -> None:
        """mmrazor's protocol; nothing to do."""

    def clear(self) -> None:
        """Forget what the recorders kept; called after every step."""
        for tap in (*self.student_taps, *self.teacher_taps):
            tap.clear()
