"""Writing files so that a reader finds the whole file or none."""
import json
import os
import platform
import re
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path):
    """Give a temporary path beside ``path``; it replaces ``path`` when the block ends well.

    The temporary name keeps the suffix, because image writers choose the format by it. If the block
    raises, the temporary file is removed and ``path`` is left as it was.

    Args:
        path (str | Path): The file to write; its folder is made when it is missing.

    Yields:
        Path: Where to write.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Ranks on several machines write to one folder and may have equal process numbers.
    writer = f'{platform.node().replace(".", "_")}.{os.getpid()}'
    temporary = path.with_name(f'.{path.stem}.{writer}{path.suffix}')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def leftovers(path) -> list:
    """Temporary files of ``path``, whole or half, of whichever process and machine.

    Args:
        path (str | Path): What is or was written by :func:`atomic_path`.

    Returns:
        list[Path]: Those that are there now.
    """
    path = Path(path)
    # The temporary files of `a.best.pth` have names that begin like those of `a.pth`.
    name = re.compile(rf'\.{re.escape(path.stem)}\.[^.]*\.\d+{re.escape(path.suffix)}')
    return [other for other in path.parent.glob('.*') if name.fullmatch(other.name)]


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


def write_json(path, content, indent=None) -> None:
    """Write ``content`` as JSON to ``path``, atomically.

    Args:
        path (str | Path): The file to write.
        content: Anything ``json`` can write.
        indent (int, optional): As in ``json.dumps``.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent) + '\n', encoding='utf-8')
