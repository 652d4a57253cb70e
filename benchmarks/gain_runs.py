"""One training and its test: what is finished, and what has to be run next."""

import filecmp
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from gain_sets import GainSet, length_options
from mmengine.config import Config

from mmkd_sod.engine.run_results import newest_checkpoint
from mmkd_sod.errors import DataError
from mmkd_sod.report.runs import read_run

# Settings that must agree between a work directory and the run that would be started.
_COMPARED = ('optim_wrapper', 'param_scheduler', 'train_dataloader')


def _plain(value) -> str:
    """Return a part of a config as text, with lists and tuples written the same way."""
    value = value.to_dict() if hasattr(value, 'to_dict') else value
    return json.dumps(value, sort_keys=True, default=str)


@dataclass
class GainRun:
    """A teacher, plain student or distilled student of one seed and length.

    Attributes:
        group (str): Name of its set.
        role (str): ``teacher``, ``student`` or the name of a method.
        config (str): Its config.
        epochs (int): Its number of epochs.
        seed (int): Its seed.
        root (Path): Folder of all work directories.
        one (GainSet): Its set.
        teacher (GainRun | None): The run whose checkpoint it needs.
    """

    group: str
    role: str
    config: str
    epochs: int
    seed: int
    root: Path
    one: GainSet
    teacher: 'GainRun | None' = None
    _options: dict = field(default_factory=dict, repr=False)

    def minutes(self) -> float:
        """Return the approximate minutes of the rest of its training and its test."""
        newest = newest_checkpoint(self.folder) if self.folder.is_dir() else None
        done = int(newest.stem.rpartition('_')[2]) if newest is not None else 0
        return self.one.minutes(self.role, self.epochs - done)

    @property
    def name(self) -> str:
        """Its name in progress lines."""
        return f'{self.group} seed {self.seed} {self.role}, {self.epochs} epochs'

    @property
    def folder(self) -> Path:
        """Its work directory."""
        return self.root / self.group / f'seed{self.seed}' / f'{self.role}_{self.epochs}e'

    @property
    def test_folder(self) -> Path:
        """The work directory of its test."""
        return self.folder.with_name(f'test_{self.folder.name}')

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint of its training."""
        return self.folder / f'epoch_{self.epochs}.pth'

    @property
    def log(self) -> Path:
        """The file with the output of its processes."""
        return self.folder.with_name(f'{self.folder.name}.log')

    def options(self) -> dict:
        """Return the overrides of its config by dotted key."""
        if not self._options:
            self._options = length_options(
                Config.fromfile(self.config), self.epochs, self.one.pace[self.role]
            )
            self._options['randomness.seed'] = self.seed
            if self.teacher is not None:
                self._options['model.teacher_ckpt'] = str(self.teacher.checkpoint)
        return self._options

    def trained(self) -> bool:
        """Return whether the training is finished."""
        newest = newest_checkpoint(self.folder) if self.folder.is_dir() else None
        return newest is not None and newest.name == self.checkpoint.name

    def scores(self, metrics) -> dict | None:
        """Return its test scores, or None if it was not tested.

        Args:
            metrics (Sequence[str]): Names of the required scores.

        Raises:
            DataError: The test's directory cannot be read or lacks one of the scores.
        """
        if not any(self.test_folder.glob('*/vis_data/config.py')):
            return None
        run = read_run(self.test_folder)
        if not run.test or run.tested is None or run.tested.name != self.checkpoint.name:
            return None
        missing = [name for name in metrics if name not in run.test]
        if missing:
            raise DataError(
                f"'{self.test_folder}' has no {missing[0]}; remove the folder to run the test again"
            )
        return {name: round(float(run.test[name]), 6) for name in metrics}

    def check(self) -> None:
        """Check that an existing work directory was made with these settings.

        Raises:
            DataError: It was not; the directory is left unchanged.
        """
        if not any(self.folder.glob('*/vis_data/config.py')):
            if any(self.test_folder.glob('*/vis_data/config.py')):
                raise DataError(
                    f"'{self.test_folder}' tests a training that does not exist; put "
                    f"'{self.folder}' next to it, or move it away"
                )
            return
        cfg = read_run(self.folder).cfg
        wanted = Config.fromfile(self.config)
        wanted.merge_from_dict(self.options())
        found = dict(
            seed=(cfg.get('randomness') or {}).get('seed'), epochs=cfg.train_cfg.get('max_epochs')
        )
        problem = None
        for key, value in found.items():
            if value != getattr(self, key):
                problem = f'{key} {value}, wanted {getattr(self, key)}'
        for key in _COMPARED:
            if _plain(cfg.get(key)) != _plain(wanted.get(key)):
                problem = problem or f'another {key}'
        teacher = cfg.model.pop('teacher_ckpt', None)
        wanted.model.pop('teacher_ckpt', None)
        if _plain(cfg.model) != _plain(wanted.model):
            problem = problem or 'another model'
        if self.teacher is not None and not problem and not self._same_teacher(teacher):
            problem = f"teacher '{teacher}', wanted '{self.teacher.checkpoint}'"
        if problem:
            raise DataError(f"'{self.folder}' was made with {problem}; move it away")

    def _same_teacher(self, path: str | None) -> bool:
        """Return whether the checkpoint that a run names, relative to its own root, is ours."""
        if path is None or not self.teacher.checkpoint.is_file():
            # Without the teacher's checkpoint, compare the names only.
            return path is not None and Path(path) == self.teacher.checkpoint
        real = self.folder.resolve()
        places = (Path(path), *(parent / path for parent in real.parents))
        return any(
            place.is_file() and filecmp.cmp(place, self.teacher.checkpoint, shallow=False)
            for place in places
        )

    def command(self) -> list[str]:
        """Return the next command: the training, resumed if possible, or the test."""
        if self.trained():
            return [
                sys.executable,
                '-W',
                'ignore',
                'tools/test.py',
                self.config,
                str(self.checkpoint),
                '--work-dir',
                str(self.test_folder),
            ]
        resume = ['--resume'] if newest_checkpoint(self.folder) is not None else []
        options = [f'{key}={_argument(value)}' for key, value in self.options().items()]
        return [
            sys.executable,
            '-W',
            'ignore',
            'tools/train.py',
            self.config,
            '--work-dir',
            str(self.folder),
            *resume,
            '--cfg-options',
            *options,
        ]


def _argument(value) -> str:
    """Return a value as ``--cfg-options`` reads it."""
    return f'[{",".join(map(str, value))}]' if isinstance(value, list) else str(value)


def runs_of(group: str, one: GainSet, seeds, root: Path) -> list[GainRun]:
    """Return all runs of a set, seed by seed, the shorter lengths first.

    Args:
        group (str): Name of the set.
        one (GainSet): The set.
        seeds (Sequence[int]): Its seeds.
        root (Path): Folder of all work directories.
    """
    made = []
    for seed in seeds:
        teacher = GainRun(group, 'teacher', one.teacher, one.teacher_epochs, seed, root, one)
        made.append(teacher)
        for epochs in one.epochs:
            made += [
                GainRun(
                    group,
                    role,
                    config,
                    epochs,
                    seed,
                    root,
                    one,
                    None if role == 'student' else teacher,
                )
                for role, config in one.students().items()
            ]
    return made
