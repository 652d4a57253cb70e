"""Finding runs in work folders and reading what they left there."""
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmkd_sod.engine.run_results import newest_checkpoint
from mmkd_sod.errors import DataError
from mmkd_sod.utils.run_logs import is_training, scalar_records

# Fields of a record that are neither loss nor metric.
_BOOKKEEPING = ('step', 'epoch', 'iter', 'time', 'data_time', 'memory')
_TABLE = re.compile(r'per class results:.*?\n((?:[|+].*\n?)+)', re.DOTALL)


@dataclass
class Run:
    """One work folder: of a training, or of a test of its checkpoint.

    Attributes:
        path (Path): The folder, as the user wrote it.
        cfg (Config): Its dumped config.
        train (dict[int, dict]): Training records by iteration.
        val (dict[int, dict]): Validation scores by epoch, or iteration.
        test (dict): Scores of the newest test, empty where there was none.
        class_tables (dict): Scores by class that stand only in the text log, ``{split: {metric:
            {class: value}}}``, of the last validation and the newest test.
        by_epoch (bool): Whether ``val`` counts epochs.
        tested (Path | None): The checkpoint of the newest test.
        forced_role (str | None): The role that the user gave.
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

    @property
    def seed(self) -> int | None:
        """The seed of its config."""
        return (self.cfg.get('randomness') or {}).get('seed')

    @property
    def config_name(self) -> str:
        """Name of the config file that was dumped, without suffix."""
        named = sorted(self.path.glob('*.py'), key=lambda path: path.stat().st_mtime)
        return named[-1].stem if named else self.path.name

    @property
    def checkpoint(self) -> Path | None:
        """The checkpoint that was tested, if it lies in this folder, or the newest one."""
        if self.tested is not None:
            here = self.path / self.tested.name
            if here.is_file():
                return here
        return newest_checkpoint(self.path)

    def scores(self, split: str) -> dict[str, float]:
        """Final scores of ``'test'`` or ``'val'``, with those of classes from the text log."""
        record = self.test if split == 'test' else (
            self.val[max(self.val)] if self.val else {})
        scores = metrics_of(record)
        for metric, values in self.class_tables.get(split, {}).items() if scores else ():
            scores.update({f'{metric}/class/{name}': value for name, value in values.items()})
        return scores


def metrics_of(record: dict) -> dict[str, float]:
    """The numbers of a record that are scores."""
    return {key: float(value) for key, value in record.items()
            if isinstance(value, (int, float)) and key not in _BOOKKEEPING}


def _config_file(folder: Path) -> Path | None:
    """The newest config that a run in ``folder`` was logged with."""
    dumped = sorted(folder.glob('*/vis_data/config.py'))
    return dumped[-1] if dumped else None


def find_runs(places: list[str]) -> list[Run]:
    """All runs in the given folders and below them.

    Args:
        places (list[str]): Folders; ``teacher=FOLDER``, ``plain=FOLDER`` or ``distilled=FOLDER``
            says the role that the configs would otherwise tell.

    Returns:
        list[Run]: Without repetitions, in the order of the arguments, each sorted by path.

    Raises:
        DataError: A folder is missing or holds no run, or a log cannot be read.
    """
    found: dict[Path, Run] = {}
    for place in places:
        named, sign, rest = place.partition('=')
        given = sign and named in ('teacher', 'plain', 'distilled')
        role, folder = (named, Path(rest)) if given else (None, Path(place))
        if not folder.is_dir():
            raise DataError(f"run '{folder}' is no folder; give the work_dir of a run, or a folder "
                            'of several')
        below = sorted({path.parents[2] for path in folder.rglob('*/vis_data/config.py')})
        if not below:
            raise DataError(f"'{folder}' holds no run (*/vis_data/config.py); give the work_dir of "
                            'a run, or a folder of several')
        for path in below:
            run = found.get(path.resolve()) or read_run(path)
            run.forced_role = role or run.forced_role
            found[path.resolve()] = run
    return list(found.values())


def read_run(folder: Path) -> Run:
    """Read config, logs and test scores of one work folder.

    Raises:
        DataError: The config or a log cannot be read.
    """
    path = _config_file(folder)
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
    except Exception as error:  # a config is Python: anything may come out of a broken one
        raise DataError(f"config '{path}' cannot be read ({type(error).__name__}: {error}); put "
                        'the dumped config back') from None
    run = Run(folder, cfg)
    if any(folder.glob('*/vis_data/scalars.json')):
        for record in scalar_records(folder):
            if is_training(record):
                run.train[record['step']] = record
                run.by_epoch = 'epoch' in record
            elif metrics_of(record):
                run.val[record['step']] = record
    for stamp in sorted(path for path in folder.iterdir() if path.is_dir()):
        _read_test(run, stamp)
    return run


def _read_test(run: Run, stamp: Path) -> None:
    """Scores of a test that ran at ``stamp``, and classes' scores from its text log."""
    test = stamp / f'{stamp.name}.json'
    if test.is_file():
        try:
            run.test = json.loads(test.read_text(encoding='utf-8').splitlines()[-1])
            run.test.items()
        except (ValueError, IndexError, AttributeError):
            raise DataError(f"'{test}' holds no scores of a test; remove it, or test "
                            'again') from None
        loaded = run.cfg.get('load_from')
        run.tested = Path(loaded) if loaded else None
    log = stamp / f'{stamp.name}.log'
    if log.is_file():
        tables = _TABLE.findall(log.read_text(encoding='utf-8', errors='replace'))
        if tables:
            split = 'test' if test.is_file() else 'val'
            run.class_tables[split] = parse_table(tables[-1])


def parse_table(text: str) -> dict[str, dict[str, float]]:
    """Columns of a text table whose first column names classes, ``{column: {class: value}}``."""
    rows = [[cell.strip() for cell in line.strip().strip('|').split('|')]
            for line in text.splitlines() if line.startswith('|')]
    if len(rows) < 2:
        return {}
    columns: dict[str, dict[str, float]] = {name: {} for name in rows[0][1:]}
    for name, *cells in rows[1:]:
        for column, cell in zip(columns, cells, strict=False):
            try:
                columns[column][name] = float(cell)
            except ValueError:  # a class that no image shows
                continue
    return columns
