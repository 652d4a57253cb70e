"""mmengine reads downloaded checkpoints through ``torch.hub``, which unpickles freely.

This brings http and https addresses, and the schemes that lead to one (``open-mmlab://``,
``torchvision://``), under the rule of local files, which is the weights-only loader.
"""

import os
import os.path as osp

import torch

from .entry import Entry


# mmengine logs the name of a loader without its first ten letters.
def load_from_http(filename: str, map_location=None, model_dir=None, progress=True):
    """Download a checkpoint to torch's hub cache and read it with the weights-only loader.

    Args:
        filename (str): http or https address.
        map_location: As in ``torch.load``.
        model_dir (str, optional): Where to keep the file; torch's hub cache by default.
        progress (bool): Show the download's progress.

    Returns:
        The checkpoint, usually a dict.
    """
    from mmengine.dist import get_rank, master_only
    from mmengine.dist.dist import barrier

    model_dir = model_dir or osp.join(torch.hub.get_dir(), 'checkpoints')
    path = osp.join(model_dir, osp.basename(filename.split('?')[0]))

    @master_only
    def fetch():
        os.makedirs(model_dir, exist_ok=True)
        # Writes to a temporary file and renames it, so that a broken download is never picked up.
        torch.hub.download_url_to_file(filename, path, progress=progress and get_rank() == 0)

    if not osp.isfile(path):
        fetch()
    barrier()
    return torch.load(path, map_location=map_location, weights_only=True)


def read_safely() -> None:
    """Register ``load_from_http`` in place of mmengine's function of that name."""
    from mmengine.runner import checkpoint

    checkpoint.CheckpointLoader.register_scheme(
        prefixes=('http://', 'https://'), loader=load_from_http, force=True
    )
    # The loaders of the other schemes call this one by its name.
    checkpoint.load_from_http = load_from_http


ENTRY = Entry(
    name='http_checkpoints',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    security=True,
    attributes={
        'mmengine.runner.checkpoint:CheckpointLoader.register_scheme': (
            'prefixes',
            'loader',
            'force',
        ),
        'mmengine.runner.checkpoint:load_from_http': (
            'filename',
            'map_location',
            'model_dir',
            'progress',
        ),
    },
    why='mmengine unpickles downloaded checkpoints freely, which may run code',
    until='an mmengine that reads downloads with weights_only=True',
    patch=read_safely,
)
