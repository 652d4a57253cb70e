"""mmengine reads downloaded checkpoints through ``torch.hub``, which unpickles freely.

It also keeps them by the name of their file alone, so that two addresses that end in
``epoch_12.pth`` get the same weights, and downloads on the first rank of all, which leaves other
machines without the file. The entry brings http and https addresses, and the schemes that lead to
one (``open-mmlab://``, ``torchvision://``), to ``mmkd_sod.utils.downloads`` and under the rule of
local files, which is the weights-only loader.
"""

import os.path as osp

import torch

from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils.checkpoint import load_local_safely
from mmkd_sod.utils.checkpoint_files import foreign_content
from mmkd_sod.utils.downloads import fetch

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

    Raises:
        CheckpointError: It cannot be downloaded or read.
    """
    folder = model_dir or osp.join(torch.hub.get_dir(), 'checkpoints')
    path = fetch(filename, folder, progress)
    if (fault := foreign_content(path)) is not None:
        path.unlink(missing_ok=True)  # The next attempt downloads again.
        raise CheckpointError(f"checkpoint '{filename}' {fault}")
    return load_local_safely(str(path), map_location)


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
