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


def write_json(path, content, indent=None) -> None:
    """Write ``content`` as JSON to ``path``, atomically.

    Args:
        path (str | Path): The file to write.
        content: Anything ``json`` can write.
        indent (int, optional): As in ``json.dumps``.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent) + '\n', encoding='utf-8')
