"""Reading checkpoints: nothing is unpickled freely."""
import os.path as osp
import pickle

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmkd_sod.errors import CheckpointError

from .files import atomic_path


def refusal(error: BaseException, path: str, what: str = 'checkpoint') -> CheckpointError:
    """What to say of a file that torch's weights-only loader did not take.

    Args:
        error (Exception): What the loader raised.
        path (str): The file.
        what (str): What it is.
    """
    if isinstance(error, pickle.UnpicklingError):
        reason = str(error).split('WeightsUnpickler error:')[-1].strip().split('\n')[0]
        return CheckpointError(
            f"{what} '{path}' holds more than weights and was not opened ({reason}); save it again "
            'as a plain dict of tensors')
    reason = str(error).strip().split('\n')[0] or 'no reason given'
    return CheckpointError(
        f"{what} '{path}' cannot be read ({type(error).__name__}: {reason}); give a checkpoint "
        'written by torch.save that can be reached')


def load_local_safely(filename: str, map_location=None):
    """Read a local checkpoint with the weights-only loader, whatever the environment says.

    It is what ``load_from``, ``--resume`` and ``init_cfg`` read files with.

    Args:
        filename (str): The file.
        map_location: As in ``torch.load``.

    Returns:
        The checkpoint, usually a dict.

    Raises:
        CheckpointError: It is missing, damaged, or holds more than weights; nothing of it ran.
    """
    path = osp.expanduser(filename)
    if not osp.isfile(path):
        raise CheckpointError(f"checkpoint '{filename}' is not there; give the path or address of "
                              'a checkpoint')
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise refusal(error, filename) from error


def read_checkpoint(path: str, what: str = 'checkpoint') -> tuple[dict[str, Tensor], dict]:
    """Read the plain model's weights out of a checkpoint with torch's weights-only loader.

    Args:
        path (str): A file, an http(s) address or another scheme that mmengine's
            ``CheckpointLoader`` knows. Plain mmdet and mmseg checkpoints, those of ``DenseDistill``
            and of mmrazor's ``SingleTeacherDistill`` (whose student is taken) are understood, and
            those of detectors that saved their teacher under ``teacher.``, which is left out.
        what (str): What the checkpoint is, for error messages.

    Returns:
        tuple: Parameter and buffer names of the plain model to tensors, without a distiller's
        learned parts; and the checkpoint's ``meta``, empty where it has none.

    Raises:
        CheckpointError: Missing, unreadable, unsafe or without weights.
    """
    if '://' not in path and not osp.isfile(path):
        raise CheckpointError(f"{what} '{path}' is not there; give the path or address of a "
                              'checkpoint')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except Exception as error:
        cause = error.__cause__ if isinstance(error, CheckpointError) else None
        raise refusal(cause or error, path, what) from error
    checkpoint = checkpoint if isinstance(checkpoint, dict) else {}
    # 'model' is how backbones pretrained with timm's scripts are saved.
    state = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{what} '{path}' has no `state_dict` of tensors; give a checkpoint "
                              'of a model')
    meta = checkpoint.get('meta')
    return _plain(state), meta if isinstance(meta, dict) else {}


def _plain(state: dict) -> dict[str, Tensor]:
    """Names of the plain model, from those of wrappers and of mmrazor's algorithms."""
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    if any(key.startswith('architecture.') for key in state):
        state = {key.removeprefix('architecture.'): value for key, value in state.items()
                 if key.startswith('architecture.')}
    # A detector that registers its teacher saves it beside its own weights.
    own = {key: value for key, value in state.items() if not key.startswith('teacher.')}
    if any('teacher.' + key in state for key in own):
        state = own
    return {key: value for key, value in state.items()
            if isinstance(value, Tensor) and not key.startswith('distiller.')}


def save_checkpoint(checkpoint: dict, path: str) -> None:
    """Write a checkpoint so that a reader finds either all of it or nothing.

    Args:
        checkpoint (dict): What to save.
        path (str): Where; its folder is made.
    """
    with atomic_path(path) as temporary:
        torch.save(checkpoint, temporary)


def check_fits(model: nn.Module, state: dict[str, Tensor], what: str, name: str) -> None:
    """Refuse weights that do not fill ``model`` exactly.

    Args:
        model (nn.Module): The network that the weights are for.
        state (dict): The weights; ``num_batches_tracked``, which answers nothing, may be missing.
        what (str): Where the weights come from, for the message.
        name (str): The network, for the message.

    Raises:
        CheckpointError: A weight is missing, is too many or has another shape.
    """
    own, given = ({key: tuple(value.shape) for key, value in weights.items()
                   if not key.endswith('num_batches_tracked')}
                  for weights in (model.state_dict(), state))
    for key in sorted(own.keys() | given.keys()):
        if own.get(key) != given.get(key):
            raise CheckpointError(
                f'{what} does not fit {name}: {key} is {given.get(key, "missing")} in the file and '
                f'{own.get(key, "missing")} in the network; give the config that the weights were '
                'trained with')
