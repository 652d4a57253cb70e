"""Reading the scalars that mmengine logs in a run."""

import json
from collections.abc import Iterator
from pathlib import Path

from mmkd_sod.errors import DataError


def scalar_records(work_dir) -> Iterator[dict]:
    """Yield all logged records of a run in order, including those after it was resumed.

    An incomplete last line of a killed run is skipped.

    Args:
        work_dir (str | Path): Folder of the run, with ``<time>/vis_data/scalars.json``.

    Yields:
        dict: One logged line, with the key ``step``.

    Raises:
        DataError: There is no log, or a line is not a record.
    """
    paths = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not paths:
        raise DataError(
            f"'{work_dir}' has no */vis_data/scalars.json; give the folder of a run, "
            'or train there first'
        )
    for path in paths:
        lines = path.read_text(encoding='utf-8').splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                record['step'] = int(record['step'])
            except (ValueError, KeyError, TypeError):
                if number == len(lines):
                    continue
                raise DataError(
                    f"'{path}' line {number} is not a logged record; remove that line"
                ) from None
            yield record


def is_training(record: dict) -> bool:
    """Return whether a record is of training rather than validation."""
    return 'loss' in record or 'lr' in record
