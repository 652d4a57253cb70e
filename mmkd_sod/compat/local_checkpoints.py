"""mmengine leaves it to the environment whether checkpoints may run code.

``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` switches torch's safe loader off where a caller does not ask
for it; and what the loader says of a damaged or hostile file is many lines long. Local files are
read by a function of ours; for the other schemes (object stores, local files of ``open-mmlab://``)
the variable is hidden while they are read.
"""

import functools
import os

from mmkd_sod.utils.checkpoint import load_local_safely

from .entry import Entry


def load_from_local(filename: str, map_location=None):
    """Read a local checkpoint with ``mmkd_sod.utils.checkpoint.load_local_safely``."""
    # mmengine logs the name of a loader without its first ten letters.
    return load_local_safely(filename, map_location)


def read_safely() -> None:
    """Register ``load_from_local``, and hide the variable from ``load_checkpoint``."""
    from mmengine.runner.checkpoint import CheckpointLoader

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    read = CheckpointLoader.load_checkpoint.__func__

    @functools.wraps(read)
    def load_checkpoint(cls, *args, **kwargs):
        forced = os.environ.pop(_FORCE, None)
        try:
            return read(cls, *args, **kwargs)
        finally:
            if forced is not None:
                os.environ[_FORCE] = forced

    CheckpointLoader.load_checkpoint = classmethod(load_checkpoint)


_FORCE = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'


ENTRY = Entry(
    name='local_checkpoints',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    security=True,
    attributes={
        'mmengine.runner.checkpoint:CheckpointLoader.register_scheme': (
            'prefixes',
            'loader',
            'force',
        ),
        'mmengine.runner.checkpoint:load_from_local': ('filename', 'map_location'),
        'mmengine.runner.checkpoint:CheckpointLoader.load_checkpoint': (
            'filename',
            'map_location',
            'logger',
        ),
    },
    why='an environment variable makes mmengine unpickle checkpoints freely',
    until='an mmengine that reads all files with weights_only=True',
    patch=read_safely,
)
