"""Files of weak labels: paths, the key of the teacher, reading and writing."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmkd_sod.errors import ConfigError, DataError

from .files import read_json, write_json
from .images import open_image, write_png
from .locks import exclusive

# File of a folder of labels with the key of their teacher.
MANIFEST = 'labels.json'
_LEVELS = {8: np.uint8, 16: np.uint16}


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Return a hash of the names, dtypes, shapes and values of weights."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if name.endswith('num_batches_tracked'):
            continue
        value = state[name].detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _canonical(node):
    """Return the JSON content of a config, without settings that do not affect predictions."""
    if isinstance(node, Mapping):
        return {
            str(key): _canonical(value)
            for key, value in node.items()
            if key not in ('init_cfg', 'pretrained', '_scope_', 'train_cfg', 'loss_decode')
        }
    if isinstance(node, (list, tuple)):
        return [_canonical(value) for value in node]
    return node if isinstance(node, (str, int, float, bool, type(None))) else repr(node)


def teacher_key(model: Config | dict, state: Mapping[str, Tensor], side: int) -> str:
    """Return a key that identifies the labels of a teacher.

    Args:
        model (Config | dict): Model config of the teacher.
        state (Mapping): State dict of the teacher.
        side (int): Side of the teacher's input.

    Returns:
        str: 64 hexadecimal digits, equal for equal architecture, weights and side.
    """
    content = json.dumps(_canonical(model), sort_keys=True)
    return hashlib.sha256(f'{content}\n{weights_hash(state)}\n{side}'.encode()).hexdigest()


def read_key(root) -> dict:
    """Return the manifest of a folder of labels.

    Raises:
        DataError: The manifest is missing or not valid.
    """
    path = Path(root) / MANIFEST
    try:
        manifest = read_json(path)
        if not isinstance(manifest['key'], str) or manifest['bits'] not in _LEVELS:
            raise ValueError('no key or bits')
    except FileNotFoundError:
        raise DataError(
            f"'{root}' has no weak labels ({MANIFEST} does not exist); write them with "
            'tools/generate_weak_labels.py'
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{path}' cannot be read ({error}); write the labels again with "
            'tools/generate_weak_labels.py'
        ) from None
    return manifest


def claim(root, key: str, **about) -> None:
    """Write the manifest of a folder of labels, or check an existing one.

    Args:
        root (str | Path): The folder.
        key (str): Key of the teacher, from ``teacher_key``.
        about: ``bits`` and other facts about the teacher.

    Raises:
        DataError: The folder has labels of another teacher or bit depth.
    """
    path = Path(root) / MANIFEST
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of two teachers at the same time, the second has to find the manifest of the first.
    with exclusive(path.with_name(f'.{MANIFEST}.lock')):
        if not path.exists():
            write_json(path, dict(key=key, **about), indent=1)
    check_key(root, key, about['bits'])


def check_key(root, key: str | None, bits: int | None = None) -> dict:
    """Check that a folder has the labels of a teacher.

    Args:
        root (str | Path): The folder of labels.
        key (str, optional): Key of the teacher; None accepts any.
        bits (int, optional): Bit depth; None accepts any.

    Returns:
        dict: The manifest.

    Raises:
        DataError: Key or bit depth differ.
    """
    manifest = read_key(root)
    for name, shown, wanted in (('key', 'teacher', key), ('bits', 'bits', bits)):
        if wanted is not None and manifest[name] != wanted:
            raise DataError(
                f"the weak labels in '{root}' are stale: {shown} is {str(manifest[name])[:12]}; "
                f'expected {str(wanted)[:12]}; write the labels to another folder, or remove these'
            )
    return manifest


def label_path(root, dataset_name: str, img_name: str) -> Path:
    """Return the label file of an image."""
    return Path(root) / dataset_name / f'{img_name}.png'


def to_levels(saliency: np.ndarray, bits: int) -> np.ndarray:
    """Round a map in [0, 1] to the grey levels of an 8-bit or 16-bit PNG.

    Raises:
        ConfigError: ``bits`` is neither 8 nor 16.
    """
    if bits not in _LEVELS:
        raise ConfigError(f'weak labels: bits={bits} must be 8 or 16')
    top = 2**bits - 1
    return (saliency.astype(np.float64) * top).round().clip(0, top).astype(_LEVELS[bits])


def from_levels(levels: np.ndarray) -> np.ndarray:
    """Convert uint8 or uint16 grey levels to a float32 map in [0, 1]."""
    return levels.astype(np.float32) / np.iinfo(levels.dtype).max


def write_label(path, saliency: np.ndarray, bits: int) -> None:
    """Write a map in [0, 1] as an 8-bit or 16-bit PNG, atomically.

    Raises:
        ConfigError: ``bits`` is neither 8 nor 16.
    """
    write_png(path, to_levels(saliency, bits))


def read_label(path) -> np.ndarray:
    """Read a label as float32 in [0, 1], (H, W).

    Raises:
        DataError: The file is missing, damaged or not a grey PNG.
    """
    label = np.asarray(open_image(path, 'weak label'))
    if label.ndim != 2 or label.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"weak label '{path}' is not a grey PNG of 8 or 16 bits; remove it and run "
            'tools/generate_weak_labels.py again'
        )
    return from_levels(label)
