"""mmengine executes config text that a checkpoint holds.

``Runner.resume`` parses ``checkpoint['meta']['config']`` as a Python config, which runs it, to
compare the number of GPUs; mmrazor does so with the text in the message hub of a resumed run, and
an inferencer that gets weights without a config with the text that it finds. The texts are dropped
from every checkpoint that is read, and such an inferencer is refused.
"""

import functools

from mmengine.logging import print_log

from mmkd_sod.errors import CheckpointError

from .entry import Entry


def _inside(node, *keys):
    """Return a nested dict, or an empty one where there is none."""
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def drop_config_text() -> None:
    """Wrap ``CheckpointLoader.load_checkpoint``, which reads all schemes, and the inferencer."""
    from mmengine.infer import BaseInferencer
    from mmengine.runner.checkpoint import CheckpointLoader

    read, init_model = CheckpointLoader.load_checkpoint.__func__, BaseInferencer._init_model

    @functools.wraps(read)
    def load_checkpoint(cls, filename, map_location=None, logger='current'):
        checkpoint = read(cls, filename, map_location, logger)
        meta = _inside(checkpoint, 'meta')
        meta.pop('cfg', None)
        _inside(checkpoint, 'message_hub', 'runtime_info').pop('cfg', None)
        # mmengine itself does not write this one.
        if meta.pop('config', None) is not None:
            print_log(
                f"The config text in the meta data of '{filename}' is ignored: it is code.",
                logger=logger,
            )
        return checkpoint

    @functools.wraps(init_model)
    def _init_model(self, cfg, weights, device='cpu'):
        if not cfg:
            raise CheckpointError(
                f"weights '{weights}' are given without a model; the config text of a checkpoint "
                'is code and is not executed; give the config of the model too'
            )
        return init_model(self, cfg, weights, device)

    CheckpointLoader.load_checkpoint = classmethod(load_checkpoint)
    BaseInferencer._init_model = _init_model


ENTRY = Entry(
    name='checkpoint_config_text',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    security=True,
    attributes={
        'mmengine.runner.checkpoint:CheckpointLoader.load_checkpoint': (
            'filename',
            'map_location',
            'logger',
        ),
        'mmengine.infer:BaseInferencer._init_model': ('self', 'cfg', 'weights', 'device'),
    },
    why='mmengine executes the config text of a checkpoint',
    until='an mmengine that takes no config from a checkpoint',
    patch=drop_config_text,
)
