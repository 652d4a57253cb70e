"""Checkpoints that are whole or not there, and always one to go on from.

mmengine writes a checkpoint in place, writes the pointer ``last_checkpoint`` in place, and deletes
the oldest checkpoint, or the best one so far, before its successor is written. A run that is killed
meanwhile, or fills the disk, leaves half a file under a good name, an empty pointer, or a pointer
to nothing. The entry changes four things in memory, so that every run of a process that
imports ``mmkd_sod`` is safe, whichever ``train.py`` and whichever config it uses:

- what mmengine writes to a local disk goes to a temporary file first, which replaces the old one;
- ``CheckpointHook`` removes a checkpoint after its successor is on disk, not before;
- an interruption (SIGINT, SIGTERM) waits until a checkpoint and its name are written;
- ``--resume`` takes the newest whole checkpoint.

A hook or file back end of our own would need a line in each config, and would not reach configs
that name mmengine's class instead of its registered name.
"""

import functools
import importlib
from pathlib import Path

from mmkd_sod.utils.checkpoint_files import latest_checkpoint
from mmkd_sod.utils.files import write_durably
from mmkd_sod.utils.held_signals import held_signals

from .entry import Entry


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


def _replace_pointer(work_dir) -> None:
    """Remove a link or pipe in place of ``last_checkpoint``, which mmengine would write through."""
    pointer = Path(work_dir, 'last_checkpoint')
    if pointer.is_symlink() or (pointer.exists() and not pointer.is_file()):
        pointer.unlink(missing_ok=True)


def _remove_afterwards(method):
    """Wrap a method of ``CheckpointHook``: files go when all new ones are there, in one go."""

    @functools.wraps(method)
    def wrapped(self, runner, *args, **kwargs):
        # Without a training before it, a validation has no file back end, and nothing to remove.
        outer = vars(self).get('file_backend')
        if outer is None or isinstance(outer, _RemovesLater):
            return method(self, runner, *args, **kwargs)
        _replace_pointer(runner.work_dir)
        self.file_backend = later = _RemovesLater(outer)
        with held_signals():
            try:
                result = method(self, runner, *args, **kwargs)
            finally:
                self.file_backend = outer
            kept = {
                getattr(self, 'last_ckpt', None),
                getattr(self, 'best_ckpt_path', None),
                *(getattr(self, 'best_ckpt_path_dict', None) or {}).values(),
            }
            for remove, path in later.doomed:
                if path not in kept:
                    remove(path)
        return result

    return wrapped


_METHODS = ('_save_checkpoint_with_step', '_save_best_checkpoint')
_FINDERS = (
    'mmengine.runner',
    'mmengine.runner.checkpoint',
    'mmengine.runner.runner',
    'mmengine.runner._flexible_runner',
)


def _put(self, obj: bytes, filepath) -> None:
    """Write bytes to a file, whole or not at all."""
    write_durably(obj, filepath)


def _put_text(self, obj: str, filepath, encoding: str = 'utf-8') -> None:
    """Write text to a file, whole or not at all."""
    # mmengine's LoggerHook writes the scores of a test on every rank.
    write_durably(obj.encode(encoding), filepath, clear=False)


def keep_checkpoints_whole() -> None:
    """Make mmengine's checkpoints safe in this process."""
    from mmengine.fileio import LocalBackend
    from mmengine.hooks import CheckpointHook

    LocalBackend.put, LocalBackend.put_text = _put, _put_text
    for name in _METHODS:
        setattr(CheckpointHook, name, _remove_afterwards(getattr(CheckpointHook, name)))
    for module in _FINDERS:
        vars(importlib.import_module(module))['find_latest_checkpoint'] = latest_checkpoint


ENTRY = Entry(
    name='whole_checkpoints',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={
        'mmengine.fileio:LocalBackend.put': ('self', 'obj', 'filepath'),
        'mmengine.fileio:LocalBackend.put_text': ('self', 'obj', 'filepath', 'encoding'),
        **{f'mmengine.hooks:CheckpointHook.{name}': None for name in _METHODS},
        **{f'{module}:find_latest_checkpoint': ('path',) for module in _FINDERS},
    },
    why='mmengine leaves half a checkpoint, or none, where a run is killed',
    until='an mmengine that replaces files atomically and removes old ones last',
    patch=keep_checkpoints_whole,
)
