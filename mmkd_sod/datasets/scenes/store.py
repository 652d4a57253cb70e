"""Putting a generated set on disk, whole or not at all."""
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mmkd_sod.errors import DataError
from mmkd_sod.utils.progress import progress_bar

_JPEG_QUALITY = 92


def write_image(path: Path, array: np.ndarray) -> None:
    """Write a picture, JPEG or PNG by its suffix.

    Raises:
        DataError: It could not be written.
    """
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if path.suffix == '.jpg':
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    if not cv2.imwrite(str(path), array, options):
        raise DataError(f'{path} could not be written; check the free space and the permissions')


def set_present(root, settings: dict, version: int) -> bool:
    """Whether ``root`` already holds the set that ``settings`` describe.

    Args:
        root (str | Path): The set's folder.
        settings (dict): What is wanted.
        version (int): Version of what makes it.

    Returns:
        bool: True when it is there, False when ``root`` is missing or empty.

    Raises:
        DataError: ``root`` holds something else, which is left alone.
    """
    root = Path(root)
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        meta = json.loads((root / 'meta.json').read_text(encoding='utf-8'))
        found = dict(meta['settings'], version=meta['version'])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f'{root} exists and holds no meta.json of generated scenes; '
                        'give another folder') from None
    wanted = dict(settings, version=version)
    if found != wanted:
        differs = ', '.join(f'{key}={found.get(key)} instead of {wanted.get(key)}'
                            for key in sorted(found.keys() | wanted.keys())
                            if found.get(key) != wanted.get(key))
        raise DataError(f'{root} holds scenes made with {differs}; '
                        'remove it or give another folder')
    return True


def write_set(root, settings: dict, version: int, meta: dict, total: int,
              fill: Callable[[Path, Callable], None], progress: bool = True) -> bool:
    """Write a set, unless it is there already.

    It is built beside ``root`` and renamed at the end: an interrupted run leaves no half set.

    Args:
        root (str | Path): The set's folder.
        settings (dict): What makes it; kept in ``meta.json``.
        version (int): Version of what makes it; kept too.
        meta (dict): What else ``meta.json`` holds.
        total (int): Number of steps of the progress bar.
        fill (Callable): ``fill(folder, advance)`` writes the files and calls ``advance()`` once a
            step.
        progress (bool): Show a progress bar with the time left.

    Returns:
        bool: True when the set was made, False when it was there.

    Raises:
        DataError: ``root`` holds something else, which is left alone.
    """
    root = Path(root)
    if set_present(root, settings, version):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = root.with_name(f'.{root.name}.{os.getpid()}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        with progress_bar(total, progress) as advance:
            fill(partial, advance)
        content = dict(version=version, settings=settings, **meta)
        (partial / 'meta.json').write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
        try:
            os.replace(partial, root)
        except OSError:
            # Another run may have finished first; anything else is refused with its reason.
            if not set_present(root, settings, version):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True
