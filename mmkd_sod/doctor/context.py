"""State that the sections of the doctor share."""

import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel

from mmkd_sod.errors import UserError
from mmkd_sod.models.algorithms import DenseDistill
from mmkd_sod.models.teachers import FrozenTeacher


def _unchanged(error: Exception) -> Exception:
    return error


@dataclass
class Context:
    """State of the examination of a config; each section adds to it.

    Attributes:
        cfg (Config): The config; sections do not change it.
        device (str): Device of the models.
        work_dir (str): Temporary folder for files that upstream writes.
        images (int): Maximum number of validation images to score.
        steps (int): Maximum number of training steps to time.
        explain (Callable): Returns the user's mistake that an error proves, or the error itself.
        runner (Runner, optional): The Runner, if it could be built.
        train_loader (DataLoader, optional): Training loader, if its data exist.
        val_set (Dataset, optional): Validation set, if its data exist.
        batches (Iterator, optional): Iterator of the training loader, kept open.
        batch (Any): The first training batch of the loader, then that of the run.
        model (BaseModel, optional): The model, plain or ``DenseDistill``, if it could be built.
        weights_loaded (bool, optional): True if all weights were loaded.
        trial (Trial, optional): The trial run, once it has reached its first step.
        image_seconds (float, optional): Seconds per image of the student's validation.
        losses (dict, optional): Losses of the batch with their graph.
        loss_calls (list): Calls of the distiller's losses.
    """

    cfg: Config
    device: str = 'cpu'
    work_dir: str = ''
    images: int = 8
    steps: int = 4
    explain: Callable[[Exception], Exception] = _unchanged
    runner: Any = None
    train_loader: Any = None
    val_set: Any = None
    batches: Iterator | None = None
    batch: Any = None
    model: Any = None
    weights_loaded: bool | None = None
    trial: Any = None
    image_seconds: float | None = None
    losses: Any = None
    loss_calls: list = field(default_factory=list)

    @property
    def distils(self) -> bool:
        """Whether the model is a student with a distiller."""
        return hasattr(self.model, 'distiller')

    @property
    def student(self) -> BaseModel:
        """The trained model."""
        return self.model.student if self.distils else self.model

    @property
    def frozen_teachers(self) -> dict[str, FrozenTeacher]:
        """The teachers of ``DenseDistill`` by name, with their checkpoints."""
        if not isinstance(self.model, DenseDistill):
            return {}
        frozen = self.model.teacher_group.frozen
        return {name: item for name, item in frozen.items() if isinstance(item, FrozenTeacher)}

    @property
    def teachers(self) -> dict:
        """The networks of the teachers by their label in the report."""
        if isinstance(self.model, DenseDistill):
            return {self.label(name): model for name, model in self.model.teachers.items()}
        # mmrazor's algorithms have one.
        return {self.label(''): self.model.teacher} if self.distils else {}

    def describe(self, error: Exception) -> str:
        """Return the mistake that an error proves, or the error, in one line."""
        return describe_error(self.explain(error))

    @staticmethod
    def label(name: str) -> str:
        """Return the label of a teacher in the report; a single teacher has the name ''."""
        return f'teacher {name}' if name else 'teacher'


def metainfo(dataset) -> dict:
    """Return the metadata of a data set; {} for those without, such as torch's wrappers."""
    return getattr(dataset, 'metainfo', None) or {}


def describe_error(error: BaseException) -> str:
    """Return the message of an error in one line; add type and position to those of others."""
    text = ' '.join(str(error).split())
    if isinstance(error, UserError):
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if len(text) > 300:
        text = f'{text[:300]} ...'
    return (
        f'{type(error).__name__}: {text or "no reason given"} '
        f'({os.path.basename(frame.filename)}, line {frame.lineno})'
    )
