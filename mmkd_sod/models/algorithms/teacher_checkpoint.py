"""Reading a teacher's weights: nothing is unpickled freely, nothing is left random unnoticed."""
import os.path as osp
import pickle
from collections.abc import Sequence
from fnmatch import fnmatchcase

from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmkd_sod.errors import CheckpointError

# Statistics of training that change no answer of a frozen model; old checkpoints lack them.
_IRRELEVANT = ('num_batches_tracked', )


def read_state_dict(path: str) -> dict[str, Tensor]:
    """Read the weights of a checkpoint with torch's weights-only loader.

    Args:
        path (str): A file, an http(s) address or another scheme that mmengine's
            ``CheckpointLoader`` knows. Plain mmdet and mmseg checkpoints, those of ``DenseDistill``
            and of mmrazor's ``SingleTeacherDistill`` (whose student is taken) are understood.

    Returns:
        dict: Parameter and buffer names of the plain model to tensors.

    Raises:
        CheckpointError: Missing, unreadable, unsafe or without weights.
    """
    if '://' not in path and not osp.isfile(path):
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt='{path}' is not there; train the teacher first or give "
            'the path or address of its checkpoint')
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except pickle.UnpicklingError as error:
        reason = str(error).split('WeightsUnpickler error:')[-1].strip().split('\n')[0]
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt='{path}' holds more than weights and was not opened "
            f'({reason}); save it again as a plain dict of tensors') from error
    except Exception as error:
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt='{path}' cannot be read "
            f'({type(error).__name__}: {str(error).splitlines()[0] if str(error) else "no reason"}'
            '); give a checkpoint written by torch.save that can be reached') from error
    state = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt='{path}' has no `state_dict` of tensors; give a "
            'checkpoint of the teacher')
    plain = {}
    razor = any(key.startswith('architecture.') for key in state)
    for key, value in state.items():
        key = key.removeprefix('module.')
        if razor:
            if not key.startswith('architecture.'):
                continue
            key = key.removeprefix('architecture.')
        if not key.startswith('distiller.') and isinstance(value, Tensor):
            plain[key] = value
    return plain


def _some(keys: Sequence[str]) -> str:
    more = f' and {len(keys) - 3} more' if len(keys) > 3 else ''
    return ', '.join(keys[:3]) + more


def load_teacher_weights(teacher: nn.Module, path: str, allow_missing: Sequence[str] = ()) -> None:
    """Load a checkpoint into the teacher and refuse one that leaves a part of it random.

    Args:
        teacher (nn.Module): The teacher.
        path (str): As :func:`read_state_dict` takes it.
        allow_missing (Sequence[str]): Shell patterns of names that may be missing or of another
            shape, for instance ``('bbox_head.scales.*',)``.

    Raises:
        CheckpointError: Keys are missing or shapes differ and no pattern allows it.
    """
    state = read_state_dict(path)
    own = teacher.state_dict()

    def allowed(key: str) -> bool:
        return any(fnmatchcase(key, pattern) for pattern in allow_missing)

    wrong_shape = [key for key in own if key in state and state[key].shape != own[key].shape]
    missing = [key for key in own if key not in state and key.split('.')[-1] not in _IRRELEVANT]
    blocking = [key for key in wrong_shape if not allowed(key)]
    if blocking:
        key = blocking[0]
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt='{path}' does not fit the teacher in {len(blocking)} of "
            f'{len(own)} shapes, first {key}: checkpoint {tuple(state[key].shape)}, teacher '
            f'{tuple(own[key].shape)}; make the teacher config the one the checkpoint was trained '
            'with')
    blocking = [key for key in missing if not allowed(key)]
    if blocking:
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt='{path}' lacks {len(blocking)} of the teacher's "
            f'{len(own)} weights ({_some(blocking)}), which would stay random; give the checkpoint '
            'of this teacher or name the keys in teacher_allow_missing')
    teacher.load_state_dict(
        {key: value for key, value in state.items() if key in own and key not in wrong_shape},
        strict=False)
