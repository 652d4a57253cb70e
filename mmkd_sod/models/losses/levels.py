"""What the losses that compare several levels at once share."""
from collections.abc import Iterator, Sequence

from torch import Tensor

from mmkd_sod.errors import ConfigError

Levels = Tensor | Sequence[Tensor]


def as_levels(maps: Levels) -> list:
    """A list of levels from one tensor or several."""
    return [maps] if isinstance(maps, Tensor) else list(maps)


def weights_of_levels(name: str, number: int, level_weights: Sequence[float] | None) -> list:
    """One weight a level, 1 each where none are given.

    Raises:
        ConfigError: There are more or fewer weights than levels.
    """
    if level_weights is None:
        return [1.] * number
    if len(level_weights) != number:
        raise ConfigError(
            f'{name}: level_weights={tuple(level_weights)} has {len(level_weights)} entries, but '
            f'{number} levels came; give one weight a level')
    return list(level_weights)


def paired_levels(name: str, student: Levels, teacher: Levels,
                  level_weights: Sequence[float] | None) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Walk over the levels whose weight is not 0.

    Args:
        name (str): The loss, for messages.
        student (Tensor | Sequence[Tensor]): (N, C, H, W) a level, any floating type.
        teacher (Tensor | Sequence[Tensor]): Of the same shapes; detached here.
        level_weights (Sequence[float], optional): One a level; 1 each where absent.

    Yields:
        tuple: Weight, student and teacher of a level, in float32.

    Raises:
        ConfigError: Levels, weights or shapes do not pair up.
    """
    student, teacher = as_levels(student), as_levels(teacher)
    if len(student) != len(teacher) or not student:
        raise ConfigError(f'{name} compares levels in pairs, got {len(student)} of the student and '
                          f'{len(teacher)} of the teacher; pass as many of each, one at least')
    weights = weights_of_levels(name, len(student), level_weights)
    for level, (weight, s, t) in enumerate(zip(weights, student, teacher, strict=True)):
        if s.dim() != 4 or s.shape != t.shape:
            raise ConfigError(
                f'{name}: level {level} needs student and teacher of one shape (N, C, H, W), got '
                f'student {tuple(s.shape)} and teacher {tuple(t.shape)}; resize the smaller one '
                'or project the channels')
        if weight:
            yield weight, s.float(), t.detach().float()
