"""Reading checkpoints with torch's weights-only loader, and writing them."""

import io
import os.path as osp
import pickle

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmkd_sod.errors import CheckpointError

from .checkpoint_files import damaged_record, foreign_content
from .files import atomic_path
from .finite import non_finite

# Weights and statistics by their usual names; other buffers may be infinite on purpose.
_FINITE = ('weight', 'bias', 'running_mean', 'running_var')


def refusal(error: BaseException, path: str, what: str = 'checkpoint') -> CheckpointError:
    """Return the error for a file that torch's weights-only loader refused.

    Args:
        error (Exception): Error of the loader.
        path (str): The file.
        what (str): Name of the checkpoint in the message.
    """
    if isinstance(error, pickle.UnpicklingError):
        reason = str(error).split('WeightsUnpickler error:')[-1].strip().split('\n')[0]
        return CheckpointError(
            f"{what} '{path}' holds more than weights and was not loaded ({reason}); save it again "
            'as a plain dict of tensors'
        )
    if isinstance(error, ModuleNotFoundError):
        return CheckpointError(
            f"{what} '{path}' needs the package {error.name}, which is not installed; install it, "
            'or download the checkpoint and give its path'
        )
    reason = str(error).strip().split('\n')[0] or 'no reason given'
    return CheckpointError(
        f"{what} '{path}' cannot be read ({type(error).__name__}: {reason}); give a readable "
        'checkpoint written by torch.save'
    )


def load_local_safely(filename: str, map_location=None):
    """Read a local checkpoint with the weights-only loader, regardless of environment variables.

    ``load_from``, ``--resume`` and ``init_cfg`` read files with this function.

    Args:
        filename (str): The file.
        map_location: As in ``torch.load``.

    Returns:
        The checkpoint, usually a dict.

    Raises:
        CheckpointError: The file is missing, damaged, no checkpoint, or holds more than weights; no
            code in it was executed.
    """
    path = osp.expanduser(filename)
    if not osp.isfile(path):
        raise CheckpointError(
            f"checkpoint '{filename}' does not exist; give the path or address of a checkpoint"
        )
    try:
        record = damaged_record(path)
        if record is None:
            return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        if (fault := foreign_content(path)) is not None:
            raise CheckpointError(f"checkpoint '{filename}' {fault}") from None
        raise refusal(error, filename) from error
    raise CheckpointError(
        f"checkpoint '{filename}' is damaged: its record {record!r} does not have the checksum "
        'with which it was written; remove it and give another, or copy it again'
    )


def read_checkpoint(path: str, what: str = 'checkpoint') -> tuple[dict[str, Tensor], dict]:
    """Read the weights of a plain model from a checkpoint with torch's weights-only loader.

    Reads plain checkpoints of mmdet, mmseg and timm, those of ``DenseDistill`` and mmrazor's
    ``SingleTeacherDistill`` (the student's weights), and those of detectors that saved their
    teacher under ``teacher.`` (without the teacher).

    Args:
        path (str): A file, an http(s) address or another scheme of mmengine's
            ``CheckpointLoader``.
        what (str): Name of the checkpoint in messages.

    Returns:
        tuple: State dict of the plain model, without learned parameters of a distiller; and the
        checkpoint's ``meta``, empty if it has none.

    Raises:
        CheckpointError: The checkpoint is missing, unreadable, unsafe or without weights.
    """
    if '://' not in path and not osp.isfile(path):
        raise CheckpointError(
            f"{what} '{path}' does not exist; give the path or address of a checkpoint"
        )
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except CheckpointError as error:
        if error.__cause__ is None:  # The sentence says what is wrong with the file.
            raise CheckpointError(f'{what} {str(error).removeprefix("checkpoint ")}') from error
        raise refusal(error.__cause__, path, what) from error
    except Exception as error:
        raise refusal(error, path, what) from error
    checkpoint = checkpoint if isinstance(checkpoint, dict) else {}
    # timm's scripts save weights under 'model'.
    state = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"{what} '{path}' has no `state_dict` of tensors; give a checkpoint of a model"
        )
    meta, weights = checkpoint.get('meta'), _plain(state)
    bad = non_finite(pair for pair in weights.items() if pair[0].endswith(_FINITE))
    if bad:
        raise CheckpointError(
            f"{what} '{path}' holds NaN or infinite values in {len(bad)} weights, first {bad[0]}; "
            'give a checkpoint with finite weights'
        )
    return weights, meta if isinstance(meta, dict) else {}


def _plain(state: dict) -> dict[str, Tensor]:
    """Return the weights of the plain model with its names, without prefixes of wrappers."""
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    if any(key.startswith('architecture.') for key in state):
        state = {
            key.removeprefix('architecture.'): value
            for key, value in state.items()
            if key.startswith('architecture.')
        }
    # Detectors with a registered teacher, such as LAD, save its weights too.
    own = {key: value for key, value in state.items() if not key.startswith('teacher.')}
    if any('teacher.' + key in state for key in own):
        state = own
    return {
        key: value
        for key, value in state.items()
        if isinstance(value, Tensor) and not key.startswith('distiller.')
    }


def save_checkpoint(checkpoint: dict, path: str) -> None:
    """Write a checkpoint atomically.

    Args:
        checkpoint (dict): The checkpoint.
        path (str): Output file; its folder is created.
    """
    # Into memory, so that the archive does not carry the name of the temporary file.
    content = io.BytesIO()
    torch.save(checkpoint, content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def adopt_bases(model: nn.Module, state: dict[str, Tensor], what: str) -> None:
    """Give matrix decompositions, such as SegNeXt's, the bases of a checkpoint.

    With ``rand_init=False`` mmseg draws them in the first forward and registers them as a buffer
    then, so that a new model has no place for those it was trained with.

    Args:
        model (nn.Module): The model; it gets empty buffers for ``load_state_dict``.
        state (dict): Its weights.
        what (str): Source of the weights, for the message.

    Raises:
        CheckpointError: The bases are missing, so that they would be drawn at random.
    """
    for name, module in model.named_modules():
        if getattr(module, 'rand_init', None) is not False or 'bases' in module._buffers:
            continue
        bases = state.get(f'{name}.bases')
        if bases is None:
            raise CheckpointError(
                f'{what} has no {name}.bases, which would be random in every run; give a '
                'checkpoint that was trained with decode_head.ham_kwargs.rand_init=False'
            )
        module.register_buffer('bases', torch.zeros_like(bases))


def check_fits(model: nn.Module, state: dict[str, Tensor], what: str, name: str) -> None:
    """Raise unless the weights fit a model exactly, except for ``num_batches_tracked``.

    Args:
        model (nn.Module): The model.
        state (dict): State dict.
        what (str): Source of the weights, for the message.
        name (str): Name of the model, for the message.

    Raises:
        CheckpointError: A weight is missing, unexpected or of another shape.
    """
    adopt_bases(model, state, what)
    own, given = (
        {
            key: tuple(value.shape)
            for key, value in weights.items()
            if not key.endswith('num_batches_tracked')
        }
        for weights in (model.state_dict(), state)
    )
    for key in sorted(own.keys() | given.keys()):
        if own.get(key) != given.get(key):
            raise CheckpointError(
                f'{what} does not fit {name}: {key} is {given.get(key, "missing")} in the file and '
                f'{own.get(key, "missing")} in the network; give the config with which the weights '
                'were trained'
            )
