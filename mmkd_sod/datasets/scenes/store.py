"""Writing generated sets to disk atomically."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.files import read_json, reported_as
from mmkd_sod.utils.images import write_image
from mmkd_sod.utils.progress import progress_bar

_JPEG_QUALITY = 92


def check_settings(settings, **minimum: int) -> None:
    """Check that settings are integers of at least the given values.

    Args:
        settings: A dataclass.
        minimum (int): Minimum of each field.

    Raises:
        ConfigError: A field is not an integer or too small.
    """
    for name, least in minimum.items():
        value = getattr(settings, name)
        if not isinstance(value, int) or value < least:
            raise ConfigError(
                f'{type(settings).__name__}: {name}={value!r} must be an integer of '
                f'at least {least}'
            )


def write_scene_image(path: Path, array: np.ndarray) -> None:
    """Write an image as JPEG or PNG, depending on its suffix."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if path.suffix == '.jpg':
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    write_image(path, array, options)


def set_present(root, settings: dict, version: int) -> bool:
    """Return whether a folder contains the set with the given settings.

    Args:
        root (str | Path): Folder of the set.
        settings (dict): Settings of the set.
        version (int): Version of the generator.

    Returns:
        bool: True if the set exists, False if ``root`` is missing or empty.

    Raises:
        DataError: ``root`` has other content, which is not changed.
    """
    root = Path(root)
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        meta = read_json(root / 'meta.json')
        found = dict(meta['settings'], version=meta['version'])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"'{root}' exists and has no meta.json of generated scenes; give another folder"
        ) from None
    wanted = dict(settings, version=version)
    if found != wanted:
        differs = ', '.join(
            f'{key}={found.get(key)} instead of {wanted.get(key)}'
            for key in sorted(found.keys() | wanted.keys())
            if found.get(key) != wanted.get(key)
        )
        raise DataError(
            f"'{root}' has scenes generated with {differs}; remove it or give another folder"
        )
    return True


def write_set(
    root,
    settings: dict,
    version: int,
    meta: dict,
    total: int,
    fill: Callable[[Path, Callable], None],
    progress: bool = True,
) -> bool:
    """Write a set, unless it exists already.

    The set is written to a temporary folder, which is renamed at the end, so that an interrupted
    run leaves no incomplete set.

    Args:
        root (str | Path): Folder of the set.
        settings (dict): Settings of the set, saved in ``meta.json``.
        version (int): Version of the generator, saved in ``meta.json``.
        meta (dict): Further content of ``meta.json``.
        total (int): Number of steps of the progress bar.
        fill (Callable): ``fill(folder, advance)`` writes the files and calls ``advance()`` after
            each step.
        progress (bool): Whether to show a progress bar.

    Returns:
        bool: True if the set was written, False if it existed.

    Raises:
        DataError: ``root`` has other content, which is not changed.
    """
    root = Path(root)
    if set_present(root, settings, version):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = root.with_name(f'.{root.name}.{os.getpid()}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with reported_as(root, partial):
            partial.mkdir()
            with progress_bar(total, progress) as advance:
                fill(partial, advance)
            content = json.dumps(dict(version=version, settings=settings, **meta), indent=2)
            (partial / 'meta.json').write_text(content + '\n', encoding='utf-8')
            try:
                os.replace(partial, root)
            except OSError:
                # Another process may have finished the same set first.
                if not set_present(root, settings, version):
                    raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True
