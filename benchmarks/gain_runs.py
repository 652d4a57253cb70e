"""One training of the gains and its test: what of it is there, and what has to be run."""
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

# What has to agree between a work folder and what would be run now.
_COMPARED = ('optim_wrapper', 'param_scheduler', 'train_dataloader')


def _plain(value) -> str:
    """A part of a config as text that does not tell lists from tuples."""
    value = value.to_dict() if hasattr(value, 'to_dict') else value
    return json.dumps(value, sort_keys=True, default=str)


@dataclass
class GainRun:
    """A teacher, a plain student or a distilled one, of one seed and length.

    Attributes:
        group (str): Name of its set.
        role (str): ``teacher``, ``student`` or the name of a method.
        config (str): Its config.
        epochs (int): Its length.
        seed (int): Its seed.
        root (Path): Folder of all work folders.
        one (GainSet): Its set.
        teacher (GainRun | None): Whose checkpoint it needs.
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
        """What is left of its training takes, and its test, roughly."""
        newest = newest_checkpoint(self.folder) if self.folder.is_dir() else None
        done = int(newest.stem.rpartition('_')[2]) if newest is not None else 0
        return self.one.minutes(self.role, self.epochs - done)

    @property
    def name(self) -> str:
        """What it is called in progress lines."""
        return f'{self.group} seed {self.seed} {self.role}, {self.epochs} epochs'

    @property
    def folder(self) -> Path:
        """Its work folder."""
        return self.root / self.group / f'seed{self.seed}' / f'{self.role}_{self.epochs}e'

    @property
    def test_folder(self) -> Path:
        """The work folder of its test."""
        return self.folder.with_name(f'test_{self.folder.name}')

    @property
    def checkpoint(self) -> Path:
        """What its training ends with."""
        return self.folder / f'epoch_{self.epochs}.pth'

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder.with_name(f'{self.folder.name}.log')

    def options(self) -> dict:
        """Overrides of its config, dotted key to value."""
        if not self._options:
            self._options = length_options(Config.fromfile(self.config), self.epochs,
                                           self.one.pace[self.role])
            self._options['randomness.seed'] = self.seed
            if self.teacher is not None:
                self._options['model.teacher_ckpt'] = str(self.teacher.checkpoint)
        return self._options

    def trained(self) -> bool:
        """Whether the training has reached its end."""
        newest = newest_checkpoint(self.folder) if self.folder.is_dir() else None
        return newest is not None and newest.name == self.checkpoint.name

    def scores(self, metrics) -> dict | None:
        """Its test's scores, or None where it was not tested.

        Args:
            metrics (Sequence[str]): Names of the scores that are wanted.

        Raises:
            DataError: The test's folder cannot be read or lacks one of the scores.
        """
        if not any(self.test_folder.glob('*/vis_data/config.py')):
            return None
        run = read_run(self.test_folder)
        if not run.test or run.tested is None or run.tested.name != self.checkpoint.name:
            return None
        missing = [name for name in metrics if name not in run.test]
        if missing:
            raise DataError(f"'{self.test_folder}' holds no {missing[0]}; remove the folder, and "
                            'the test is run again')
        return {name: round(float(run.test[name]), 6) for name in metrics}

    def check(self) -> None:
        """See that a work folder which is there was made from these settings.

        Raises:
            DataError: It was not; nothing of it is touched.
        """
        if not any(self.folder.glob('*/vis_data/config.py')):
            if any(self.test_folder.glob('*/vis_data/config.py')):
                raise DataError(f"'{self.test_folder}' is a test of a training that is not there; "
                                f"put '{self.folder}' beside it, or move it away")
            return
        cfg = read_run(self.folder).cfg
        wanted = Config.fromfile(self.config)
        wanted.merge_from_dict(self.options())
        found = dict(seed=(cfg.get('randomness') or {}).get('seed'),
                     epochs=cfg.train_cfg.get('max_epochs'))
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
        """Whether a checkpoint named by a run, relative to where that ran, is the one wanted."""
        if path is None or not self.teacher.checkpoint.is_file():
            # A run without its teacher's checkpoint is taken at its word where it names ours.
            return path is not None and Path(path) == self.teacher.checkpoint
        real = self.folder.resolve()
        places = (Path(path), *(parent / path for parent in real.parents))
        return any(place.is_file() and filecmp.cmp(place, self.teacher.checkpoint, shallow=False)
                   for place in places)

    def command(self) -> list[str]:
        """The next thing to run: the training, from where it stopped, or the test."""
        if self.trained():
            return [sys.executable, '-W', 'ignore', 'tools/test.py', self.config,
                    str(self.checkpoint), '--work-dir', str(self.test_folder)]
        resume = ['--resume'] if newest_checkpoint(self.folder) is not None else []
        options = [f'{key}={_argument(value)}' for key, value in self.options().items()]
        return [sys.executable, '-W', 'ignore', 'tools/train.py', self.config, '--work-dir',
                str(self.folder), *resume, '--cfg-options', *options]


def _argument(value) -> str:
    """A value as ``--cfg-options`` reads it."""
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def runs_of(group: str, one: GainSet, seeds, root: Path) -> list[GainRun]:
    """All runs of a set, seed by seed, the shorter lengths first.

    Args:
        group (str): Name of the set.
        one (GainSet): The set.
        seeds (Sequence[int]): Its seeds.
        root (Path): Folder of all work folders.
    """
    made = []
    for seed in seeds:
        teacher = GainRun(group, 'teacher', one.teacher, one.teacher_epochs, seed, root, one)
        made.append(teacher)
        for epochs in one.epochs:
            made += [GainRun(group, role, config, epochs, seed, root, one,
                             None if role == 'student' else teacher)
                     for role, config in one.students().items()]
    return made
