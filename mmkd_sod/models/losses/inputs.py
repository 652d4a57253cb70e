"""Checks of the levels and rows that several losses take."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from mmkd_sod.errors import ConfigError

Levels = Tensor | Sequence[Tensor]


def as_levels(maps: Levels) -> list[Tensor]:
    """Return a list of levels for one tensor or several."""
    return [maps] if isinstance(maps, Tensor) else list(maps)


def weights_of_levels(name: str, number: int, level_weights: Sequence[float] | None) -> list[float]:
    """Return one weight per level; 1 each where none are given.

    Raises:
        ConfigError: The numbers of weights and levels differ.
    """
    if level_weights is None:
        return [1.0] * number
    if len(level_weights) != number:
        raise ConfigError(
            f'{name}: level_weights={tuple(level_weights)} has {len(level_weights)} entries for '
            f'{number} levels; give one weight per level'
        )
    return list(level_weights)


def pair_levels(
    name: str, student: Levels, teacher: Levels, level_weights: Sequence[float] | None
) -> list[tuple[float, Tensor, Tensor]]:
    """Return the weight, student and teacher tensor of each level.

    Args:
        name (str): Class of the loss, for messages.
        student (Tensor | Sequence[Tensor]): One tensor per level.
        teacher (Tensor | Sequence[Tensor]): As many; detached here.
        level_weights (Sequence[float], optional): One per level; None means 1 each.

    Raises:
        ConfigError: The numbers of student levels, teacher levels and weights differ, or are 0.
    """
    student, teacher = as_levels(student), as_levels(teacher)
    if len(student) != len(teacher) or not student:
        raise ConfigError(
            f'{name}: got {len(student)} student and {len(teacher)} teacher levels; they are '
            'compared in pairs; pass as many of each, at least one'
        )
    weights = weights_of_levels(name, len(student), level_weights)
    return [(weight, s, t.detach()) for weight, s, t in zip(weights, student, teacher, strict=True)]


def paired_maps(
    name: str, student: Levels, teacher: Levels, level_weights: Sequence[float] | None
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Yield the weight, student and teacher maps of each level whose weight is not 0.

    Args:
        name (str): Class of the loss, for messages.
        student (Tensor | Sequence[Tensor]): (N, C, H, W) per level, any floating type.
        teacher (Tensor | Sequence[Tensor]): Of the same shapes; detached here.
        level_weights (Sequence[float], optional): One per level; None means 1 each.

    Yields:
        tuple: Weight, student and teacher of a level, in float32.

    Raises:
        ConfigError: The numbers of levels and weights or the shapes differ.
    """
    levels = pair_levels(name, student, teacher, level_weights)
    for index, (weight, s, t) in enumerate(levels):
        if s.dim() != 4 or s.shape != t.shape:
            raise ConfigError(
                f'{name}: level {index} has a student of shape {tuple(s.shape)} and a teacher of '
                f'shape {tuple(t.shape)}; both must have one shape (N, C, H, W); resize the '
                'smaller one or project the channels'
            )
        if weight:
            yield weight, s.float(), t.float()


def check_rows(name: str, student: Tensor, teacher: Tensor) -> None:
    """Raise unless both are (P, K) logits of one shape.

    Args:
        name (str): Class of the loss, for the message.
        student (Tensor): Student logits.
        teacher (Tensor): Teacher logits.

    Raises:
        ConfigError: The shapes differ or are not two-dimensional.
    """
    if student.shape != teacher.shape or student.dim() != 2:
        raise ConfigError(
            f'{name}: got student logits {tuple(student.shape)} and teacher logits '
            f'{tuple(teacher.shape)}; both must have one shape (P, K); flatten maps to rows with '
            'the connector mmkd_sod.DenseRows'
        )
