"""One training per folder at a time."""

import json
import os
import platform
from pathlib import Path
from typing import IO

from mmkd_sod.errors import ConfigError

from .files import process_runs
from .locks import try_lock_file

NAME = '.lock'
# Open files of the locks of this process, by process and path: a fork inherits no lock.
_held: dict[tuple[int, str], IO] = {}


def is_first_rank(launcher: str) -> bool:
    """Return whether this process is rank 0 of its run, before the processes are connected."""
    if launcher == 'none':
        return True
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK', 'PMI_RANK')
    return next((os.environ[name] for name in names if name in os.environ), '0') == '0'


def lock_work_dir(work_dir) -> bool:
    """Take the lock of a run's folder until ``unlock_work_dir``, or until this process ends.

    The operating system releases the lock with the process, however it ends, so that a killed run
    can be resumed at once. Where the file system has no locks, the process that the file names
    decides: one that runs on this machine is refused.

    Args:
        work_dir (str | Path): The folder, which exists.

    Returns:
        bool: False if this process holds the lock already.

    Raises:
        ConfigError: Another process trains there; the message names process and machine.
    """
    path = str(Path(work_dir).resolve() / NAME)
    if (os.getpid(), path) in _held:
        return False
    try:
        # Neither through a link nor waiting for a pipe.
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        file = os.fdopen(number, 'r+')
    except OSError as error:
        raise ConfigError(
            f"'{path}', the lock of the run, cannot be opened ({error.strerror or error}); remove "
            'it or give another --work-dir'
        ) from error
    try:
        owner = json.loads(file.read() or '{}')
        pid, host = int(owner['pid']), str(owner['host'])
    except (ValueError, KeyError, TypeError):
        pid, host = 0, 'unknown'
    free = try_lock_file(file.fileno())
    if free is None:
        free = not (pid and host == platform.node() and process_runs(pid))
    if not free:
        file.close()
        raise ConfigError(
            f"work_dir '{work_dir}' is in use by the training of process {pid} on {host}; two "
            'trainings in one folder would mix their checkpoints; give another --work-dir or end '
            'that process'
        )
    file.seek(0)
    file.truncate()
    json.dump(dict(pid=os.getpid(), host=platform.node()), file)
    file.flush()
    _held[os.getpid(), path] = file
    return True


def unlock_work_dir(work_dir) -> None:
    """Release the lock of a folder that this process holds."""
    file = _held.pop((os.getpid(), str(Path(work_dir).resolve() / NAME)))
    # Where there are no locks, the content decides.
    file.seek(0)
    file.truncate()
    file.close()
