"""Reading regular files only, and writing files atomically and never through links."""

import errno
import json
import os
import platform
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from mmkd_sod.errors import DataError


def check_regular(path) -> None:
    """Refuse a pipe, socket or device, on which reading would wait or never end.

    Raises:
        DataError: The path is neither missing nor a folder nor a regular file.
    """
    mode = os.stat(path).st_mode if os.path.exists(path) else stat.S_IFREG
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"'{path}' is a pipe, socket or device; only files are read; remove it")


def read_bytes(path) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: The file is missing, cannot be read, or is a folder, pipe, socket or device.
    """
    # Opening a pipe would wait for its writer.
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, 'not a regular file', str(path))
    except OSError:
        os.close(number)
        raise
    with open(number, 'rb') as file:
        return file.read()


def read_json(path):
    """Return the content of a JSON file.

    Raises:
        OSError: As ``read_bytes``.
        ValueError: The content is not valid JSON, or nested too deeply.
    """
    try:
        return json.loads(read_bytes(path))
    except RecursionError:
        raise ValueError('nested too deeply') from None


def refuse_links(path, root) -> None:
    """Refuse to write to a file that a link below a folder leads elsewhere.

    Args:
        path (str | Path): A file below ``root``.
        root (str | Path): Folder that the user named; it may be a link itself.

    Raises:
        DataError: A folder between both is a symbolic link.
    """
    root = Path(root)
    for inner in Path(path).relative_to(root).parents:
        folder = root / inner
        if folder != root and folder.is_symlink():
            raise DataError(
                f"'{folder}' is a symbolic link; files are written to real folders only; replace "
                'it by a folder'
            )


def open_appending(path) -> TextIO:
    """Open a text file for appending, and create it if it is missing; never through a link.

    Raises:
        OSError: The file cannot be written, or is a symbolic link.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    number = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    return open(number, 'a', encoding='utf-8')


# What file managers and archivers add to data.
_FOREIGN = (
    '__macosx',
    '@eadir',
    '$recycle.bin',
    'system volume information',
    'thumbs.db',
    'desktop.ini',
)


def is_hidden(path) -> bool:
    """Whether a path within a data folder is not data: hidden, or added by another program.

    Args:
        path (str | Path): Path relative to the folder.
    """
    parts = Path(path).parts
    return any(part.startswith('.') or part.lower() in _FOREIGN for part in parts)


@contextmanager
def reported_as(path, temporary):
    """Let errors of the disk name a file or folder instead of its temporary one.

    Args:
        path (str | Path): The file or folder that users know.
        temporary (Path): The temporary one; a full disk names none at all.
    """
    try:
        yield
    except OSError as error:
        found = temporary if error.filename is None else Path(os.fsdecode(error.filename))
        if found.is_relative_to(temporary):
            error.filename = str(Path(path) / found.relative_to(temporary))
        raise


@contextmanager
def atomic_path(path):
    """Provide a temporary file that replaces ``path`` when the block ends without an error.

    The temporary file is in the same folder and has the same suffix, from which image writers
    choose the format. If the block raises, it is removed and ``path`` is not changed. A symbolic
    link at ``path`` is replaced, not followed.

    Args:
        path (str | Path): The file to write; its folder is created.

    Yields:
        Path: The temporary file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Ranks on different machines may share a folder and have equal process ids.
    writer = f'{platform.node().replace(".", "_")}.{os.getpid()}'
    temporary = path.with_name(f'.{path.stem}.{writer}{path.suffix}')
    try:
        with reported_as(path, temporary):
            # Something planted under this name, such as a link, is not written to.
            temporary.unlink(missing_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def leftovers(path) -> list:
    """Return the existing temporary files of ``atomic_path`` for a path, of any process.

    Args:
        path (str | Path): Path that was passed to ``atomic_path``.

    Returns:
        list[Path]: Temporary files, complete or not.
    """
    path = Path(path)
    # Must not match those of `a.best.pth` for `a.pth`.
    name = re.compile(rf'\.{re.escape(path.stem)}\.[^.]*\.\d+{re.escape(path.suffix)}')
    return [other for other in path.parent.glob('.*') if name.fullmatch(other.name)]


def process_runs(pid: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


# A temporary file of `atomic_path`, with machine and process.
_TEMPORARY = re.compile(r'\..+\.([^.]*)\.(\d+)(\.[^.]+)?')


def remove_leftovers(folder) -> list[str]:
    """Remove the temporary files in a folder that killed processes of this machine left there.

    Args:
        folder (str | Path): The folder; its subfolders are not searched.

    Returns:
        list[str]: Names of the removed files.
    """
    host, removed = platform.node().replace('.', '_'), []
    for path in Path(folder).glob('.*'):
        match = _TEMPORARY.fullmatch(path.name)
        if (
            match is not None
            and match[1] == host
            and not process_runs(int(match[2]))
            and path.is_file()
            and not path.is_symlink()
        ):
            path.unlink(missing_ok=True)
            removed.append(path.name)
    return sorted(removed)


def write_durably(content: bytes, path, clear: bool = True) -> None:
    """Write bytes atomically and durably: they are flushed to disk before they replace a file.

    Args:
        content (bytes): The bytes.
        path (str | Path): Output file; its folder is created.
        clear (bool): Remove temporary files that killed processes left for this path. Use False if
            several processes may write it at the same time.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        with open(temporary, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        for other in set(leftovers(path) if clear else []) - {temporary}:
            other.unlink(missing_ok=True)


def write_json(path, content, indent=None) -> None:
    """Write ``content`` as JSON to ``path``, atomically.

    Args:
        path (str | Path): Output file.
        content: Content that ``json`` can serialise.
        indent (int, optional): As in ``json.dumps``.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent) + '\n', encoding='utf-8')
