"""Writing files atomically."""

import json
import os
import platform
import re
from contextlib import contextmanager
from pathlib import Path

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
def atomic_path(path):
    """Provide a temporary file that replaces ``path`` when the block ends without an error.

    The temporary file is in the same folder and has the same suffix, from which image writers
    choose the format. If the block raises, it is removed and ``path`` is not changed.

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
        yield temporary
        os.replace(temporary, path)
    finally:
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
