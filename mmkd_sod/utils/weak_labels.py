"""Weak labels on disk: where they lie, whose they are, and how they are read."""
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmkd_sod.errors import ConfigError, DataError

from .files import write_json
from .images import open_image, write_png

# Says whose labels a folder holds.
MANIFEST = 'labels.json'
_LEVELS = {8: np.uint8, 16: np.uint16}


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Hash of a network's weights: names, types, shapes, values, and not the file they lay in."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if name.endswith('num_batches_tracked'):
            continue
        value = state[name].detach().cpu().contiguous()
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _canonical(node):
    """A config's content as JSON keeps it, without what answers nothing."""
    if isinstance(node, Mapping):
        return {str(key): _canonical(value) for key, value in node.items()
                if key not in ('init_cfg', 'pretrained', '_scope_', 'train_cfg', 'loss_decode')}
    if isinstance(node, (list, tuple)):
        return [_canonical(value) for value in node]
    return node if isinstance(node, (str, int, float, bool, type(None))) else repr(node)


def teacher_key(model: Config | dict, state: Mapping[str, Tensor], side: int) -> str:
    """What tells one teacher's labels from another's.

    Args:
        model (Config | dict): The teacher's model config.
        state (Mapping): Its weights.
        side (int): Side of its input.

    Returns:
        str: 64 hexadecimal digits, equal for equal architecture, weights and side.
    """
    content = json.dumps(_canonical(model), sort_keys=True)
    return hashlib.sha256(f'{content}\n{weights_hash(state)}\n{side}'.encode()).hexdigest()


def read_key(root) -> dict:
    """The manifest of a folder of labels.

    Raises:
        DataError: There is none, or it is not one.
    """
    path = Path(root) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(manifest['key'], str) or manifest['bits'] not in _LEVELS:
            raise ValueError('no key or bits')
    except FileNotFoundError:
        raise DataError(f"'{root}' holds no weak labels ({MANIFEST} is not there); write them with "
                        'tools/generate_weak_labels.py') from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"'{path}' cannot be read ({error}); write the labels anew") from None
    return manifest


def claim(root, key: str, **about) -> None:
    """Say that a folder holds the labels of the teacher of ``key``; it may hold some already.

    Args:
        root (str | Path): The folder.
        key (str): From :func:`teacher_key`.
        about: ``bits`` and whatever a reader may want to know of the teacher.

    Raises:
        DataError: The folder holds labels of another teacher or depth.
    """
    path = Path(root) / MANIFEST
    if path.exists():
        check_key(root, key, about['bits'])
        return
    write_json(path, dict(key=key, **about), indent=1)


def check_key(root, key: str | None, bits: int | None = None) -> dict:
    """Refuse labels of another teacher.

    Args:
        root (str | Path): The folder of labels.
        key (str, optional): The wanted teacher's; None takes any.
        bits (int, optional): The wanted depth; None takes any.

    Returns:
        dict: The manifest.

    Raises:
        DataError: Key or depth differ.
    """
    manifest = read_key(root)
    for name, wanted in (('key', key), ('bits', bits)):
        if wanted is not None and manifest[name] != wanted:
            shown = {'key': 'teacher'}.get(name, name)
            raise DataError(
                f"the weak labels in '{root}' are stale: their {shown} is "
                f'{str(manifest[name])[:12]}, wanted {str(wanted)[:12]}; write them anew into '
                'another folder, or remove these')
    return manifest


def label_path(root, dataset_name: str, img_name: str) -> Path:
    """File of one image's label."""
    return Path(root) / dataset_name / f'{img_name}.png'


def to_levels(saliency: np.ndarray, bits: int) -> np.ndarray:
    """Round a map in [0, 1] to the grey levels of an 8-bit or 16-bit PNG.

    Raises:
        ConfigError: ``bits`` is neither.
    """
    if bits not in _LEVELS:
        raise ConfigError(f'weak labels have 8 or 16 bits, not {bits}')
    top = 2**bits - 1
    return (saliency.astype(np.float64) * top).round().clip(0, top).astype(_LEVELS[bits])


def from_levels(levels: np.ndarray) -> np.ndarray:
    """The map, float32 in [0, 1], of grey levels."""
    return levels.astype(np.float32) / np.iinfo(levels.dtype).max


def write_label(path, saliency: np.ndarray, bits: int) -> None:
    """Write a map in [0, 1] as an 8-bit or 16-bit PNG, atomically.

    Raises:
        ConfigError: ``bits`` is neither.
    """
    write_png(path, to_levels(saliency, bits))


def read_label(path) -> np.ndarray:
    """Read a label as float32 in [0, 1], (H, W).

    Raises:
        DataError: It is missing, damaged or no grey PNG.
    """
    label = np.asarray(open_image(path, 'weak label'))
    if label.ndim != 2 or label.dtype not in (np.uint8, np.uint16):
        raise DataError(f"weak label '{path}' is no grey PNG of 8 or 16 bits; remove it and run "
                        'tools/generate_weak_labels.py again')
    return from_levels(label)
