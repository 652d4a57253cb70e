"""Reading the scalars that mmengine logs beside a run."""
import json
from collections.abc import Iterator
from pathlib import Path

from mmkd_sod.errors import DataError


def scalar_records(work_dir) -> Iterator[dict]:
    """All records of all logs of a run, in order: those of a resumed run after the first ones.

    A last line cut short by a kill is passed over.

    Args:
        work_dir (str | Path): The run's folder, with ``<time>/vis_data/scalars.json`` in it.

    Yields:
        dict: One logged line; ``step`` is in it.

    Raises:
        DataError: There is no log, or a line in it is no record.
    """
    paths = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not paths:
        raise DataError(f'{work_dir} holds no */vis_data/scalars.json; train there first')
    for path in paths:
        lines = path.read_text(encoding='utf-8').splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                record['step'] = int(record['step'])
            except (ValueError, KeyError, TypeError):
                if number == len(lines):
                    continue
                raise DataError(f'{path} line {number} is no logged record; remove it') from None
            yield record


def is_training(record: dict) -> bool:
    """Whether a record is of training steps; the others are of validations."""
    return 'loss' in record or 'lr' in record
