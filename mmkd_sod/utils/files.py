"""Writing files so that a reader finds the whole file or none."""
import json
import os
import platform
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
    writer = f'{platform.node()}.{os.getpid()}'
    temporary = path.with_name(f'.{path.stem}.{writer}{path.suffix}')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, content, indent=None) -> None:
    """Write ``content`` as JSON to ``path``, atomically.

    Args:
        path (str | Path): The file to write.
        content: Anything ``json`` can write.
        indent (int, optional): As in ``json.dumps``.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=indent) + '\n', encoding='utf-8')
