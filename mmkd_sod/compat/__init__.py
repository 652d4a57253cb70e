"""The one place that knows what is broken upstream, each entry with its reason.

:func:`apply` runs once, when ``mmkd_sod`` is imported. Nothing of mmengine, mmdet, mmseg or mmrazor
is edited on disk; what is changed in memory is listed in :data:`ENTRIES`.
"""
import os
import os.path as osp
import pickle
import sys
import types
import warnings
from importlib import metadata

import numpy as np
import torch

from .mmcv_ops.extension import offer, require_mmcv

_applied = False


def stub_mmrazor_quantization() -> None:
    """mmrazor 1.0 imports its quantisation tables, written for torch 1.13, with everything else.

    They use names and pattern orders that current torch has dropped, so ``import mmrazor.models``
    fails. Distillation needs none of them: an empty table under their name lets the rest import.
    """
    name = 'mmrazor.structures.quantization.backend_config'
    if name not in sys.modules:
        module = types.ModuleType(name, 'Stand-in of mmkd_sod: no quantisation back ends.')
        module.BackendConfigs = {}
        module.__all__ = ['BackendConfigs']
        sys.modules[name] = module


def _history_statistic(owner, name):
    """What ``getattr`` may do in a checkpoint: name one of ``HistoryBuffer``'s own statistics."""
    from mmengine.logging.history_buffer import HistoryBuffer
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean', 'current'):
        raise pickle.UnpicklingError(
            f'the checkpoint asks for the attribute {name!r} of {owner!r}; only the statistics '
            "min, max, mean and current of mmengine's HistoryBuffer are let through")
    return getattr(owner, name)


def allow_checkpoint_types() -> None:
    """torch >= 2.6 loads with ``weights_only=True`` and knows nothing of mmengine's message hub.

    mmengine's checkpoints hold ``HistoryBuffer`` and numpy objects, so resuming fails. These types
    carry data only and are put on the allow-list; the safe loader stays on. A ``HistoryBuffer`` is
    pickled with references to four of its own methods, which arrive as calls of ``getattr``: they
    are answered by :func:`_history_statistic`, never by the real one.
    """
    from mmengine.logging.history_buffer import HistoryBuffer
    reconstruct = np.array(0.).__reduce__()[0]
    scalar = np.float64(0.).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in '?bhilqBHILQefd'}
    torch.serialization.add_safe_globals(
        [HistoryBuffer, reconstruct, scalar, np.ndarray, np.dtype, *dtypes,
         (_history_statistic, 'builtins.getattr')])


def load_from_http_safely(filename: str, map_location=None, model_dir=None, progress=True):
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


def load_http_checkpoints_safely() -> None:
    """mmengine reads downloaded checkpoints through ``torch.hub``, which unpickles freely.

    This brings http and https addresses, and the schemes that lead to one (``open-mmlab://``,
    ``torchvision://``), under the rule of local files, which is the weights-only loader.
    """
    from mmengine.runner import checkpoint
    checkpoint.CheckpointLoader.register_scheme(
        prefixes=('http://', 'https://'), loader=load_from_http_safely, force=True)
    # The loaders of the other schemes call this one by its name.
    checkpoint.load_from_http = load_from_http_safely


def load_local_checkpoints_safely() -> None:
    """mmengine leaves it to the environment whether local files may run code.

    ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`` switches torch's safe loader off where a caller does not
    ask for it; and what the loader says of a damaged or hostile file is many lines long.
    """
    from mmengine.runner.checkpoint import CheckpointLoader

    from mmkd_sod.utils.checkpoint import load_local_safely
    CheckpointLoader.register_scheme(prefixes='', loader=load_local_safely, force=True)


def read_once_and_safely() -> None:
    """onedl-mmengine unpickles freely what torch's safe loader has just refused.

    All its loaders read through one function, those of object stores and of ``open-mmlab://`` too.
    """
    from mmengine.runner import checkpoint

    def load(file, map_location=None, weights_only=None):
        return torch.load(file, map_location=map_location, weights_only=True)

    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = load


def silence_pkg_resources() -> None:
    """mmengine reads config paths through ``pkg_resources``, which warns at every import.

    The warning asks to pin setuptools below 81, which `requirements/` does.
    """
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')


def keep_checkpoints_whole() -> None:
    """mmengine writes checkpoints in place and deletes the old one before the new one stands.

    See :mod:`mmkd_sod.compat.whole_checkpoints`.
    """
    from mmkd_sod.compat.whole_checkpoints import install
    install()


def announce_configs() -> None:
    """mmengine reads ``'package::folder/name.py'`` for a fixed list of packages only.

    With mmkd_sod on it, its configs are found by that name wherever it is installed from a wheel.
    """
    from mmengine.config.utils import MODULE2PACKAGE
    MODULE2PACKAGE['mmkd_sod'] = 'mmkd_sod'


def find_configs_of_the_fork() -> None:
    """``'mmseg::...'`` makes mmengine install mmsegmentation where only its fork is.

    onedl-mmsegmentation brings the module under another name of the distribution, and the forks'
    mmengine still looks for the old one, which pip would then write over the fork.
    """
    from mmengine.config.utils import MODULE2PACKAGE
    installed = {name for name in ('mmsegmentation', 'onedl-mmsegmentation') if _is_there(name)}
    if installed == {'onedl-mmsegmentation'}:
        MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'


def _is_there(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


# (function, what it is for); the order does not matter.
ENTRIES = (
    (require_mmcv, 'mmdet and mmseg name no mmcv among their requirements'),
    (offer, 'mmcv-lite has no compiled operators, and mmdet and mmseg import them'),
    (stub_mmrazor_quantization, 'mmrazor 1.0 does not import on torch > 1.13'),
    (allow_checkpoint_types, 'mmengine cannot resume on torch >= 2.6'),
    (silence_pkg_resources, 'mmengine needs pkg_resources, which warns of its end'),
    (load_http_checkpoints_safely, 'mmengine unpickles downloaded checkpoints freely'),
    (load_local_checkpoints_safely, 'an environment variable makes mmengine unpickle freely'),
    (read_once_and_safely, 'onedl-mmengine unpickles freely what the safe loader refused'),
    (keep_checkpoints_whole, 'mmengine leaves half a checkpoint where a run is killed'),
    (announce_configs, "mmengine finds 'package::' configs of the packages it knows only"),
    (find_configs_of_the_fork, "onedl-mmengine finds no 'mmseg::' configs of its own fork"),
)


def apply() -> None:
    """Apply every entry once."""
    global _applied
    if _applied:
        return
    for function, _ in ENTRIES:
        function()
    _applied = True
