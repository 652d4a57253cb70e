"""Checkpoints that are whole or not there, and always one to go on from.

mmengine writes a checkpoint in place, writes the pointer ``last_checkpoint`` in place, and deletes
the oldest checkpoint, or the best one so far, before its successor is written. A run that is killed
meanwhile, or fills the disk, leaves half a file under a good name, an empty pointer, or a pointer
to nothing. :func:`install` changes four things in memory, so that every run of a process that
imports ``mmkd_sod`` is safe, whichever ``train.py`` and whichever config it uses:

- what mmengine writes to a local disk goes to a temporary file first, which replaces the old one;
- ``CheckpointHook`` removes a checkpoint after its successor is on disk, not before;
- an interruption (SIGINT, SIGTERM) waits until a checkpoint and its name are written;
- ``--resume`` takes the newest whole checkpoint.

A hook or file back end of our own would need a line in each config, and would not reach configs
that name mmengine's class instead of its registered name.
"""
import functools
import os
import re
import zipfile
from pathlib import Path

import torch

from mmkd_sod.engine.held_signals import held_signals
from mmkd_sod.utils.files import atomic_path, leftovers

POINTER = 'last_checkpoint'
_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


def put_whole(content: bytes, path, clear: bool = True) -> None:
    """Write bytes so that ``path`` holds all of them or what it held before.

    They are on the disk, not only on their way, before they replace the old file.

    Args:
        content (bytes): What to write.
        path (str | Path): Where; its folder is made.
        clear (bool): Clear away what a killed process left of the same file. False where several
            processes may write it at once, which would take each other's for that.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        with open(temporary, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for other in set(leftovers(path) if clear else []) - {temporary}:
            other.unlink(missing_ok=True)


def is_whole(path) -> bool:
    """Whether a file is a complete checkpoint, as far as can be told without reading its weights.

    A file of ``torch.save`` ends in the table of its parts; half a file does not.
    """
    try:
        return os.path.isfile(path) and zipfile.is_zipfile(path)
    except OSError:
        return False


def _step(path) -> tuple[str, int] | None:
    match = _NAME.fullmatch(Path(path).name)
    return (match[1], int(match[2])) if match else None


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
        (path for path in folder.glob('*.pth') if _step(path)),
        key=lambda path: (path.stat().st_mtime_ns, _step(path)), reverse=True)
    if told is not None:
        step = _step(told)
        here = [path for path in here
                if step and _step(path)[0] == step[0] and _step(path)[1] > step[1]
                and path.stat().st_mtime_ns > written]
    return next((str(path) for path in here if is_whole(path)), told)


def last_finite_checkpoint(work_dir, names) -> str | None:
    """The last-written whole checkpoint of a folder in which no weight is infinite or NaN.

    Args:
        work_dir (str | Path): Folder of a run.
        names (Collection[str]): The entries of ``state_dict`` to look at.
    """
    paths = [path for path in Path(work_dir).glob('*.pth') if _step(path) and is_whole(path)]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        state = torch.load(path, map_location='cpu', weights_only=True)['state_dict']
        if all(value.isfinite().all() for name, value in state.items() if name in names):
            return str(path)
    return None


class _RemovesLater:
    """A file back end that keeps in mind what to remove."""

    def __init__(self, backend) -> None:
        self.backend = backend
        self.doomed: list[tuple] = []

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def remove(self, path) -> None:
        self.doomed.append((self.backend.remove, path))

    def rmtree(self, path) -> None:
        self.doomed.append((self.backend.rmtree, path))


def _remove_afterwards(method):
    """Wrap a method of ``CheckpointHook``: files go when all new ones are there, in one go."""
    @functools.wraps(method)
    def wrapped(self, runner, *args, **kwargs):
        outer = self.file_backend
        if isinstance(outer, _RemovesLater):
            return method(self, runner, *args, **kwargs)
        self.file_backend = later = _RemovesLater(outer)
        with held_signals():
            try:
                result = method(self, runner, *args, **kwargs)
            finally:
                self.file_backend = outer
            kept = {getattr(self, 'last_ckpt', None), getattr(self, 'best_ckpt_path', None),
                    *(getattr(self, 'best_ckpt_path_dict', None) or {}).values()}
            for remove, path in later.doomed:
                if path not in kept:
                    remove(path)
        return result

    return wrapped


def install() -> None:
    """Make mmengine's checkpoints safe in this process; once."""
    import mmengine.runner
    from mmengine.fileio import LocalBackend
    from mmengine.hooks import CheckpointHook
    from mmengine.runner import _flexible_runner, checkpoint, runner

    if LocalBackend.put.__module__ == __name__:
        return

    def put(self, obj: bytes, filepath) -> None:
        """Write bytes to a file, whole or not at all."""
        put_whole(obj, filepath)

    def put_text(self, obj: str, filepath, encoding: str = 'utf-8') -> None:
        """Write text to a file, whole or not at all."""
        # mmengine's LoggerHook writes the scores of a test on every rank.
        put_whole(obj.encode(encoding), filepath, clear=False)

    LocalBackend.put, LocalBackend.put_text = put, put_text
    for name in ('_save_checkpoint_with_step', '_save_best_checkpoint'):
        setattr(CheckpointHook, name, _remove_afterwards(getattr(CheckpointHook, name)))
    for module in (mmengine.runner, checkpoint, runner, _flexible_runner):
        module.find_latest_checkpoint = latest_checkpoint
