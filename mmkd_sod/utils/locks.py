"""Locks that end with the process that holds them."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def try_lock(descriptor: int, wait: bool = False) -> bool:
    """Lock an open file; the lock ends when the file is closed or its process ends, however.

    Args:
        descriptor (int): The open file.
        wait (bool): Wait until no other process has the lock.

    Returns:
        bool: False if another process has the lock. True also where files cannot be locked.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # Some network file systems have no locks.
        return True
    return True


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait until no other process of this machine is in a block of the same path.

    Args:
        path (Path): The file of the lock, which is created and removed again.
    """
    if fcntl is None:
        yield
        return
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
        try_lock(descriptor, wait=True)
        # The process before may have removed the file on which this one waited.
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        except FileNotFoundError:
            pass
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def try_lock_file(descriptor: int) -> bool | None:
    """Lock an open file for this process alone, without its children, until it ends.

    Closing any descriptor of the file in this process ends the lock, too.

    Args:
        descriptor (int): The open file.

    Returns:
        bool, optional: False if another process has the lock, None where files cannot be locked.
    """
    if fcntl is None:
        return None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EAGAIN) else None
    return True
