"""mmengine executes the config text of the checkpoint that it resumes.

``Runner.resume`` parses ``checkpoint['meta']['config']`` as a Python config, which runs it, to
compare the number of GPUs. mmengine itself writes that text under another key, so it is dropped
from every checkpoint that is read, whatever it contains.
"""

import functools

from mmengine.logging import print_log

from .entry import Entry


def drop_config_text() -> None:
    """Wrap ``CheckpointLoader.load_checkpoint``, through which every scheme is read."""
    from mmengine.runner.checkpoint import CheckpointLoader

    original = CheckpointLoader.load_checkpoint.__func__

    @functools.wraps(original)
    def load_checkpoint(cls, filename, map_location=None, logger='current'):
        checkpoint = original(cls, filename, map_location, logger)
        meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
        if isinstance(meta, dict) and meta.pop('config', None) is not None:
            print_log(
                f"The config text in the meta data of '{filename}' is ignored: it is code.",
                logger=logger,
            )
        return checkpoint

    CheckpointLoader.load_checkpoint = classmethod(load_checkpoint)


ENTRY = Entry(
    name='checkpoint_config_text',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={
        'mmengine.runner.checkpoint:CheckpointLoader.load_checkpoint': (
            'filename',
            'map_location',
            'logger',
        )
    },
    why='mmengine executes the config text of a checkpoint that it resumes',
    until='an mmengine that reads no config from a checkpoint when it resumes',
    patch=drop_config_text,
)
