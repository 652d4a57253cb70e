"""Finding the checkpoints of a run, and telling whole ones from halves."""
import os
import re
import zipfile
from pathlib import Path

import torch

POINTER = 'last_checkpoint'
_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


def is_whole(path) -> bool:
    """Whether a file is a complete checkpoint, as far as can be told without reading its weights.

    A file of ``torch.save`` ends in the table of its parts; half a file does not.
    """
    try:
        return os.path.isfile(path) and zipfile.is_zipfile(path)
    except OSError:
        return False


def _step(path) -> tuple[str, int]:
    """Return kind and number of a checkpoint's name, ``('epoch', 3)``; ``('', 0)`` of others."""
    match = _NAME.fullmatch(Path(path).name)
    return (match[1], int(match[2])) if match else ('', 0)


def latest_checkpoint(work_dir) -> str | None:
    """The checkpoint that ``--resume`` goes on from, or None where there is none.

    It is the one that ``last_checkpoint`` names, in the folder where it stands or, for a folder
    that has moved, beside it; or a later one of the same run, where the run ended between writing
    it and writing its name. Where the pointer is empty or leads to nothing whole, it is the
    last-written whole checkpoint of the folder.

    Args:
        work_dir (str | Path): Folder of a run.
    """
    folder = Path(work_dir)
    pointer = folder / POINTER
    try:
        named, written = pointer.read_text().strip(), pointer.stat().st_mtime_ns
    except (OSError, UnicodeDecodeError):
        named, written = '', 0
    # Other storage, and the folders that deepspeed writes, are mmengine's business.
    if '://' in named or (named and os.path.isdir(named)):
        return named
    told = next((str(path) for path in (named, folder / Path(named).name)
                 if named and is_whole(path)), None)
    here = sorted(
        (path for path in folder.glob('*.pth') if _step(path)[0]),
        key=lambda path: (path.stat().st_mtime_ns, _step(path)), reverse=True)
    if told is not None:
        kind, step = _step(told)
        here = [path for path in here
                if _step(path)[0] == kind and _step(path)[1] > step
                and path.stat().st_mtime_ns > written]
    return next((str(path) for path in here if is_whole(path)), told)


def last_finite_checkpoint(work_dir, names) -> str | None:
    """The last-written whole checkpoint of a folder in which no weight is infinite or NaN.

    Args:
        work_dir (str | Path): Folder of a run.
        names (Collection[str]): The entries of ``state_dict`` to look at.
    """
    paths = [path for path in Path(work_dir).glob('*.pth') if _step(path)[0] and is_whole(path)]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        state = torch.load(path, map_location='cpu', weights_only=True)['state_dict']
        if all(value.isfinite().all() for name, value in state.items() if name in names):
            return str(path)
    return None
