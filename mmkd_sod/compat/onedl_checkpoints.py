"""onedl-mmengine unpickles freely what torch's safe loader has just refused.

All its loaders read through one function, those of object stores and of ``open-mmlab://`` too.
"""

import torch

from .entry import Entry


def load_once(file, map_location=None, weights_only=None):
    """Read with the weights-only loader, whatever is asked for."""
    return torch.load(file, map_location=map_location, weights_only=True)


def read_once() -> None:
    """Put ``load_once`` in place of the function that tries again without safety."""
    from mmengine.runner import checkpoint

    checkpoint._safe_torch_load = load_once


ENTRY = Entry(
    name='onedl_checkpoints',
    packages=('onedl-mmengine',),
    versions='>=0.10.10,<0.11',
    security=True,
    attributes={
        'mmengine.runner.checkpoint:_safe_torch_load': ('file', 'map_location', 'weights_only')
    },
    why='onedl-mmengine unpickles freely what the safe loader refused',
    until='an onedl-mmengine without the second attempt',
    patch=read_once,
)
