"""Reading the scalars that mmengine logs in a run."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from mmkd_sod.errors import DataError

from .files import read_bytes


def scalar_records(work_dir, skip: Callable[[str], None] | None = None) -> Iterator[dict]:
    """Yield all logged records of a run in order, including those after it was resumed.

    An incomplete last line of a killed run is skipped.

    Args:
        work_dir (str | Path): Folder of the run, with ``<time>/vis_data/scalars.json``.
        skip (Callable, optional): Called with what is skipped and why; without it, a line that is
            not a record raises.

    Yields:
        dict: One logged line, with the key ``step``.

    Raises:
        DataError: There is no log; or, without ``skip``, a line is not a record.
    """
    paths = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not paths:
        raise DataError(
            f"'{work_dir}' has no */vis_data/scalars.json; give the folder of a run, "
            'or train there first'
        )
    for path in paths:
        try:
            lines = read_bytes(path).splitlines()
        except OSError as error:
            raise DataError(f"'{path}' cannot be read ({error.strerror}); remove it") from None
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                record['step'] = int(record['step'])
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                fault = f"'{path}' line {number} is not a logged record"
                if skip is not None:
                    skip(fault)
                elif number < len(lines):
                    raise DataError(f'{fault}; remove that line') from None
                continue
            yield record


def is_training(record: dict) -> bool:
    """Return whether a record is of training rather than validation."""
    return 'loss' in record or 'lr' in record
