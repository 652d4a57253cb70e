"""mmengine leaves it to the environment whether local checkpoints may run code.

``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` switches torch's safe loader off where a caller does not ask
for it; and what the loader says of a damaged or hostile file is many lines long.
"""

from mmkd_sod.utils.checkpoint import load_local_safely

from .entry import Entry


def load_from_local(filename: str, map_location=None):
    """Read a local checkpoint with ``mmkd_sod.utils.checkpoint.load_local_safely``."""
    # mmengine logs the name of a loader without its first ten letters.
    return load_local_safely(filename, map_location)


def read_safely() -> None:
    """Register ``load_from_local`` in place of mmengine's function of that name."""
    from mmengine.runner.checkpoint import CheckpointLoader

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)


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
    },
    why='an environment variable makes mmengine unpickle local checkpoints freely',
    until='an mmengine that reads local files with weights_only=True',
    patch=read_safely,
)
