"""Finding runs in folders, and reading their configs, logs and scores."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmkd_sod.engine.run_results import newest_checkpoint
from mmkd_sod.errors import DataError
from mmkd_sod.utils.run_logs import is_training, scalar_records

from .dumped_config import read_dumped_config

# Fields of a record that are neither loss nor metric.
_BOOKKEEPING = ('step', 'epoch', 'iter', 'time', 'data_time', 'memory')
# Above it, sums and differences of floats overflow.
_LARGEST = 1e300
_TABLE = re.compile(r'per class results:.*?\n((?:[|+].*\n?)+)', re.DOTALL)


@dataclass
class Run:
    """A run of training, or of a test of a checkpoint.

    Attributes:
        path (Path): Work directory as given by the user.
        cfg (Config): Dumped config.
        train (dict[int, dict]): Training records by iteration.
        val (dict[int, dict]): Validation scores by epoch or iteration.
        test (dict): Scores of the latest test, if any.
        class_tables (dict): Scores per class from the text log, ``{split: {metric: {class:
            value}}}``, of the last validation and the latest test.
        by_epoch (bool): Whether the keys of ``val`` are epochs.
        tested (Path | None): Checkpoint of the latest test.
        forced_role (str | None): Role given by the user.
        skipped (list[str]): What of the logs was skipped, and why.
    """

    path: Path
    cfg: Config
    train: dict = field(default_factory=dict)
    val: dict = field(default_factory=dict)
    test: dict = field(default_factory=dict)
    class_tables: dict = field(default_factory=dict)
    by_epoch: bool = True
    tested: Path | None = None
    forced_role: str | None = None
    skipped: list = field(default_factory=list)

    @property
    def seed(self) -> int | None:
        """Seed of the config."""
        randomness = self.cfg.get('randomness')
        seed = randomness.get('seed') if isinstance(randomness, dict) else None
        return seed if isinstance(seed, int) else None

    @property
    def config_name(self) -> str:
        """Name of the dumped config file without suffix."""
        named = sorted(self.path.glob('*.py'), key=lambda path: path.stat().st_mtime)
        return named[-1].stem if named else self.path.name

    @property
    def checkpoint(self) -> Path | None:
        """The tested checkpoint if it is in this folder, else the latest one."""
        if self.tested is not None:
            path = self.path / self.tested.name
            if path.is_file():
                return path
        return newest_checkpoint(self.path)

    def scores(self, split: str) -> dict[str, float]:
        """Return the final scores of ``'test'`` or ``'val'``, including those per class."""
        record = self.test if split == 'test' else (self.val[max(self.val)] if self.val else {})
        scores = metrics_of(record)
        for metric, values in self.class_tables.get(split, {}).items() if scores else ():
            scores.update({f'{metric}/class/{name}': value for name, value in values.items()})
        return scores


def metrics_of(record: dict) -> dict[str, float]:
    """Return the scores of a record."""
    return {
        key: float(value)
        for key, value in record.items()
        if isinstance(value, (int, float)) and key not in _BOOKKEEPING
    }


def _config_file(folder: Path) -> Path:
    """Return the latest dumped config of a run."""
    return max(folder.glob('*/vis_data/config.py'))


def find_runs(entries: list[str]) -> list[Run]:
    """Find all runs in folders and their subfolders.

    Args:
        entries (list[str]): Folders; ``teacher=FOLDER``, ``plain=FOLDER`` or ``distilled=FOLDER``
            sets the role, which is otherwise derived from the configs.

    Returns:
        list[Run]: Runs without duplicates in the order of ``entries``, sorted by path within each.

    Raises:
        DataError: A folder is missing or has no runs, or a log cannot be read.
    """
    found: dict[Path, Run] = {}
    for entry in entries:
        named, sign, rest = entry.partition('=')
        given = sign and named in ('teacher', 'plain', 'distilled')
        role, folder = (named, Path(rest)) if given else (None, Path(entry))
        if not folder.is_dir():
            raise DataError(
                f"run '{folder}' is not a folder; give the work_dir of a run, or a "
                'folder of several'
            )
        paths = sorted({path.parents[2] for path in folder.rglob('*/vis_data/config.py')})
        if not paths:
            raise DataError(
                f"'{folder}' has no runs (*/vis_data/config.py); give the work_dir of "
                'a run, or a folder of several'
            )
        for path in paths:
            run = found.get(path.resolve()) or read_run(path)
            run.forced_role = role or run.forced_role
            found[path.resolve()] = run
    return list(found.values())


def read_run(folder: Path) -> Run:
    """Read config, logs and test scores of a run.

    Raises:
        DataError: The config or a log cannot be read.
    """
    run = Run(folder, read_dumped_config(_config_file(folder)))
    infinite: dict[str, int] = {}
    if any(folder.glob('*/vis_data/scalars.json')):
        for record in scalar_records(folder, run.skipped.append):
            record = _finite(record, infinite)
            if is_training(record):
                run.train[record['step']] = record
                run.by_epoch = 'epoch' in record
            elif metrics_of(record):
                run.val[record['step']] = record
    for stamp in sorted(path for path in folder.iterdir() if path.is_dir()):
        _read_test(run, stamp, infinite)
    run.skipped += [
        f"'{folder}' has {count} NaN or infinite values of {key}" for key, count in infinite.items()
    ]
    return run


def _finite(record: dict, infinite: dict[str, int]) -> dict:
    """Return the numbers of a record that can be drawn; count those that are NaN or infinite."""
    kept = {}
    for key, value in record.items():
        if isinstance(value, (int, float)):
            if abs(value) < _LARGEST:
                kept[key] = value
            else:
                infinite[key] = infinite.get(key, 0) + 1
    return kept


def _read_test(run: Run, stamp: Path, infinite: dict[str, int]) -> None:
    """Read the scores of a test in the folder ``stamp``, and scores per class from its text log."""
    test = stamp / f'{stamp.name}.json'
    if test.is_file():
        try:
            record = json.loads(test.read_bytes().splitlines()[-1])
            run.test = _finite(record, infinite)
        except (OSError, ValueError, IndexError, AttributeError, RecursionError):
            run.skipped.append(f"'{test}' has no scores of a test")
            return
        loaded = run.cfg.get('load_from')
        run.tested = Path(loaded) if loaded else None
    log = stamp / f'{stamp.name}.log'
    if log.is_file():
        tables = _TABLE.findall(log.read_text(encoding='utf-8', errors='replace'))
        if tables:
            split = 'test' if test.is_file() else 'val'
            run.class_tables[split] = parse_table(tables[-1])


def parse_table(text: str) -> dict[str, dict[str, float]]:
    """Parse a text table with classes in its first column to ``{column: {class: value}}``."""
    rows = [
        [cell.strip() for cell in line.strip().strip('|').split('|')]
        for line in text.splitlines()
        if line.startswith('|')
    ]
    if len(rows) < 2:
        return {}
    columns: dict[str, dict[str, float]] = {name: {} for name in rows[0][1:]}
    for name, *cells in rows[1:]:
        for column, cell in zip(columns, cells, strict=False):
            try:
                value = float(cell)
                if abs(value) < _LARGEST:
                    columns[column][name] = value
            except ValueError:  # no score for a class without images
                continue
    return columns
