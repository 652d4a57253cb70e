"""Replacing the files of a folder by new ones, all at once."""

import ctypes
import errno
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .files import process_runs, reported_as

# Linux's renameat2: relative to the working directory, both names change places.
_HERE, _EXCHANGE = -100, 2


def _exchange(first: Path, second: Path) -> None:
    """Let two folders change places in one step.

    Raises:
        OSError: The system or the file system cannot do so.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))


def _name_again(path, new: Path) -> None:
    """Give a file a further name, or copy it where the file system has one name per file."""
    try:
        os.link(path, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, new, follow_symlinks=False)


def _same_access(source, target) -> None:
    """Copy permissions, times and, where this is allowed, the owner of a folder."""
    shutil.copystat(source, target)
    with suppress(OSError, AttributeError):
        found = os.stat(source)
        os.chown(target, found.st_uid, found.st_gid)


def _carry(source: Path, target: Path, skip: Collection[str] = ()) -> None:
    """Give a folder all files of another one; what it has already stays if it is the same file.

    Args:
        source (Path): The folder to read.
        target (Path): The folder to fill.
        skip (Collection[str]): Names in ``source`` itself that are left out.
    """
    for entry in os.scandir(source):
        new = target / entry.name
        if entry.name in skip:
            continue
        if entry.is_dir(follow_symlinks=False):
            new.mkdir(exist_ok=True)
            _carry(Path(entry.path), new)
            _same_access(entry.path, new)
            continue
        if os.path.lexists(new):
            if os.path.samestat(entry.stat(follow_symlinks=False), os.lstat(new)):
                continue
            new.unlink()
        _name_again(entry.path, new)


def _replace_at_once(partial: Path, folder: Path, names: Collection[str]) -> bool:
    """Replace the files by an exchange of folders; False where this is not possible."""
    here = Path.cwd()
    if folder == here or folder in here.parents:
        return False  # A shell would stay in the old folder, which is removed.
    _carry(folder, partial, names)
    _same_access(folder, partial)
    try:
        _exchange(partial, folder)
    except OSError:
        return False
    _carry(partial, folder, names)  # What another program wrote meanwhile.
    return True


def _replace_one_by_one(partial: Path, folder: Path, names: Collection[str]) -> None:
    """Move the files; where one cannot be moved, the earlier ones are put back."""
    kept = partial / '.replaced'
    kept.mkdir()
    moved = []
    try:
        for name in names:
            if os.path.lexists(folder / name):
                _name_again(folder / name, kept / name)
            os.replace(partial / name, folder / name)
            moved.append(name)
    except OSError:
        for name in moved:
            if os.path.lexists(kept / name):
                os.replace(kept / name, folder / name)
            else:
                (folder / name).unlink()
        raise


def _remove_ended(parent: Path, prefix: str) -> None:
    """Remove the temporary folders that killed processes of this machine left."""
    for path in parent.glob('.*'):
        pid = path.name.removeprefix(prefix)
        if (
            path.name.startswith(prefix)
            and pid.isdigit()
            and path.is_dir()
            and not path.is_symlink()
            and not process_runs(int(pid))
        ):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def replaced_folder(folder, names: Collection[str]) -> Iterator[Path]:
    """Provide a temporary folder whose files replace those of a folder if the block succeeds.

    All files are replaced in one step: a new or empty folder by a rename, a filled one by an
    exchange with a folder that has the new files and all others of the old one. Where this is
    not possible (a mount point, the working directory, a file system or system without such an
    exchange), files are moved one by one, and put back if one cannot be moved. If the block
    raises, nothing changes.

    Args:
        folder (str | Path): The folder; a link to one is followed. Its parent is created.
        names (Collection[str]): Names of the files to replace, all of which the block writes.

    Yields:
        Path: The temporary folder.

    Raises:
        OSError: The folder cannot be written; the error names it, not the temporary one.
    """
    target = Path(os.path.realpath(folder))
    for name in names:
        if (target / name).is_dir() and not (target / name).is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target / name))
    parent, prefix = target.parent, f'.{target.name}.'
    # Into a mount point, nothing can be moved from outside.
    if target.is_dir() and (os.path.ismount(target) or not os.access(parent, os.W_OK)):
        parent = target
    partial = parent / f'{prefix}{os.getpid()}'
    try:
        with reported_as(folder, partial):
            parent.mkdir(parents=True, exist_ok=True)
            _remove_ended(parent, prefix)
            partial.mkdir()
            yield partial
            if parent == target:
                _replace_one_by_one(partial, target, names)
            elif not target.exists() or not any(target.iterdir()):
                os.replace(partial, target)
            elif not _replace_at_once(partial, target, names):
                _replace_one_by_one(partial, target, names)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
