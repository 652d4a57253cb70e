"""Loading a teacher's weights: nothing is left random unnoticed."""
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils.checkpoint import read_checkpoint

# Statistics of training that change no answer of a frozen model; old checkpoints lack them.
_IRRELEVANT = ('num_batches_tracked', )


def _some(keys: Sequence[str]) -> str:
    more = f' and {len(keys) - 3} more' if len(keys) > 3 else ''
    return ', '.join(keys[:3]) + more


def load_teacher_weights(teacher: nn.Module, path: str, allow_missing: Sequence[str] = ()) -> None:
    """Load a checkpoint into the teacher and refuse one that leaves a part of it random.

    Args:
        teacher (nn.Module): The teacher.
        path (str): As :func:`~mmkd_sod.utils.checkpoint.read_checkpoint` takes it.
        allow_missing (Sequence[str]): Shell patterns of names that may be missing or of another
            shape, for instance ``('bbox_head.scales.*',)``.

    Raises:
        CheckpointError: Keys are missing or shapes differ and no pattern allows it.
    """
    state, _ = read_checkpoint(path, 'DenseDistill: teacher_ckpt')
    own = teacher.state_dict()

    def allowed(key: str) -> bool:
        return any(fnmatchcase(key, pattern) for pattern in allow_missing)

    wrong_shape = [key for key in own if key in state and state[key].shape != own[key].shape]
    missing = [key for key in own if key not in state and key.split('.')[-1] not in _IRRELEVANT]
    blocking = [key for key in wrong_shape if not allowed(key)]
    if blocking:
        key = blocking[0]
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt '{path}' does not fit the teacher in {len(blocking)} of "
            f'{len(own)} shapes, first {key}: checkpoint {tuple(state[key].shape)}, teacher '
            f'{tuple(own[key].shape)}; make the teacher config the one the checkpoint was trained '
            'with')
    blocking = [key for key in missing if not allowed(key)]
    if blocking:
        raise CheckpointError(
            f"DenseDistill: teacher_ckpt '{path}' lacks {len(blocking)} of the teacher's "
            f'{len(own)} weights ({_some(blocking)}), which would stay random; give the checkpoint '
            'of this teacher or name the keys in teacher_allow_missing')
    teacher.load_state_dict(
        {key: value for key, value in state.items() if key in own and key not in wrong_shape},
        strict=False)
