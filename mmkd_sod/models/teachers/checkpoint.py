"""Loading the weights of a teacher; no weight stays random unnoticed."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils.checkpoint import adopt_bases, read_checkpoint

# Buffers that do not change the outputs of a frozen model; missing in old checkpoints.
_IRRELEVANT = ('num_batches_tracked',)


def _some(keys: Sequence[str]) -> str:
    more = f' and {len(keys) - 3} more' if len(keys) > 3 else ''
    return ', '.join(keys[:3]) + more


def load_teacher_weights(teacher: nn.Module, path: str, allow_missing: Sequence[str] = ()) -> None:
    """Load a checkpoint into the teacher and refuse one that leaves weights random.

    Args:
        teacher (nn.Module): The teacher.
        path (str): As ``mmkd_sod.utils.checkpoint.read_checkpoint`` takes it.
        allow_missing (Sequence[str]): Shell patterns of names that may be missing or have another
            shape, for instance ``('bbox_head.scales.*',)``.

    Raises:
        CheckpointError: Keys are missing or shapes differ and no pattern allows it.
    """
    state, _ = read_checkpoint(path, 'DenseDistill: teacher_ckpt')
    adopt_bases(teacher, state, f"DenseDistill: teacher_ckpt '{path}'")
    own = teacher.state_dict()

    def allowed(key: str) -> bool:
        return any(fnmatchcase(key, pattern) for pattern in allow_missing)

    wrong_shape = [key for key in own if key in state and state[key].shape != own[key].shape]
    missing = [key for key in own if key not in state and key.split('.')[-1] not in _IRRELEVANT]
    blocking = [key for key in wrong_shape if not allowed(key)]
    if blocking:
        key = blocking[0]
        raise CheckpointError(
            f"DenseDistill: {len(blocking)} of {len(own)} shapes in teacher_ckpt '{path}' do not "
            f'fit the teacher, first {key}: checkpoint {tuple(state[key].shape)}, teacher '
            f'{tuple(own[key].shape)}; use the config that the checkpoint was trained with'
        )
    blocking = [key for key in missing if not allowed(key)]
    if blocking:
        raise CheckpointError(
            f"DenseDistill: {len(blocking)} of the teacher's {len(own)} weights are missing in "
            f"teacher_ckpt '{path}' ({_some(blocking)}) and would stay random; give the checkpoint "
            'of this teacher or list the keys in teacher_allow_missing'
        )
    teacher.load_state_dict(
        {key: value for key, value in state.items() if key in own and key not in wrong_shape},
        strict=False,
    )
