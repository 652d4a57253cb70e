"""What the doctor's sections hand on to each other."""
import os
import traceback
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel

from mmkd_sod.errors import UserError


@dataclass
class Context:
    """One config under examination; sections fill it, later ones use it.

    Attributes:
        cfg (Config): The config; sections do not change it.
        device (str): Where models run.
        work_dir (str): A folder for what upstream writes; thrown away afterwards.
        images (int): Validation images to score at most.
        steps (int): Training steps to time at most.
        train_loader (DataLoader, optional): Set when training data were found.
        val_set (Dataset, optional): Set when validation data were found.
        batch (Any): One training batch as the loader gives it.
        model (BaseModel, optional): Set when the model was built; a plain one or a DenseDistill.
        weighed (bool, optional): True when all weights were loaded.
        runner (Any): A Runner of the parts above, its start-up hooks called.
        image_seconds (float, optional): Time of the student's validation, an image.
        losses (dict, optional): Losses of the batch, their graph kept.
        comparisons (list): What the distiller's losses were given.
    """
    cfg: Config
    device: str = 'cpu'
    work_dir: str = ''
    images: int = 8
    steps: int = 4
    train_loader: Any = None
    val_set: Any = None
    batch: Any = None
    model: Any = None
    weighed: bool | None = None
    runner: Any = None
    image_seconds: float | None = None
    losses: Any = None
    comparisons: list = field(default_factory=list)

    @property
    def distils(self) -> bool:
        """Whether the model is a student with a distiller."""
        return hasattr(self.model, 'distiller')

    @property
    def student(self) -> BaseModel:
        """The model that is trained."""
        return self.model.student if self.distils else self.model

    @property
    def teachers(self) -> dict:
        """The frozen teachers by their label in the report; empty without one."""
        if not self.distils:
            return {}
        found = getattr(self.model, 'teachers', {'': getattr(self.model, 'teacher', None)})
        return {self.label(name): model for name, model in found.items() if model is not None}

    @staticmethod
    def label(name: str) -> str:
        """What the report calls a teacher of that name; the only one has the name ''."""
        return f'teacher {name}' if name else 'teacher'


def describe_error(error: BaseException) -> str:
    """An error in one describe_error; where it came from, unless it is written for users."""
    text = ' '.join(str(error).split())
    if isinstance(error, UserError):
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if len(text) > 300:
        text = f'{text[:300]} ...'
    return (f'{type(error).__name__}: {text or "no reason given"} '
            f'({os.path.basename(frame.filename)}, line {frame.lineno})')
