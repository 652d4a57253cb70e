"""The weight of a distiller over the course of a training."""

import math
from dataclasses import dataclass
from numbers import Real

from mmkd_sod.errors import ConfigError

# The shape of a rise from 0 to 1; a decay is its mirror image.
CURVES = dict(linear=lambda x: x, cosine=lambda x: (1 - math.cos(math.pi * x)) / 2)


def _is_count(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class WeightSchedule:
    """The weight of a distiller as a pure function of the epoch or of the iteration.

    From ``begin`` up to, but not including, ``end`` it is ``weight``, times a ramp at either side.
    Outside it is 0, which switches the distiller off. Inside it is never 0: a warm-up of 3 uses
    1/4, 2/4 and 3/4 of the weight before the full weight, a decay of 3 uses 3/4, 2/4 and 1/4 right
    before ``end``.

    Args:
        weight (float): Multiplies all losses of the distiller, at least 0.
        begin (int): First epoch, or iteration, counted from 0.
        end (int, optional): First epoch, or iteration, without the distiller; None: never.
        warmup (int): Length of the rise after ``begin``.
        decay (int): Length of the fall before ``end``.
        curve (str): Shape of both ramps: ``'linear'`` or ``'cosine'``.
        by_epoch (bool): Count epochs; False counts iterations (optimizer steps where gradients are
            not accumulated).

    Raises:
        ConfigError: A value is out of range, or the ramps do not fit between ``begin`` and ``end``.

    Examples:
        >>> schedule = WeightSchedule(weight=2., begin=1, end=8, warmup=1, decay=3)
        >>> [schedule(epoch) for epoch in range(9)]
        [0.0, 1.0, 2.0, 2.0, 2.0, 1.5, 1.0, 0.5, 0.0]
    """

    weight: float = 1.0
    begin: int = 0
    end: int | None = None
    warmup: int = 0
    decay: int = 0
    curve: str = 'linear'
    by_epoch: bool = True

    def __post_init__(self) -> None:
        if (
            not isinstance(self.weight, Real)
            or isinstance(self.weight, bool)
            or not 0 <= self.weight < math.inf
        ):
            raise ConfigError(f'WeightSchedule: weight={self.weight!r}; give a number >= 0')
        counts = dict(begin=self.begin, warmup=self.warmup, decay=self.decay)
        if self.end is not None:
            counts['end'] = self.end
        for name, value in counts.items():
            if not _is_count(value):
                raise ConfigError(
                    f'WeightSchedule: {name}={value!r}; give a whole number of '
                    'epochs or iterations, at least 0'
                )
        if self.curve not in CURVES:
            raise ConfigError(
                f'WeightSchedule: curve={self.curve!r} is unknown; choose one of {tuple(CURVES)}'
            )
        if self.end is None and self.decay:
            raise ConfigError(
                f'WeightSchedule: decay={self.decay} needs an end, got end=None; set end'
            )
        if self.end is not None and self.end - self.begin < max(1, self.warmup + self.decay):
            raise ConfigError(
                f'WeightSchedule: begin={self.begin} and end={self.end} leave no room for '
                f'warmup={self.warmup} and decay={self.decay}; end - begin must be at least 1 and '
                'at least their sum'
            )

    @property
    def constant(self) -> bool:
        """Whether the weight never changes."""
        return not self.weight or (self.begin == 0 and self.end is None and self.warmup == 0)

    def __call__(self, now: int) -> float:
        """Return the weight at an epoch, or iteration, counted from 0."""
        if now < self.begin or (self.end is not None and now >= self.end):
            return 0.0
        rise = CURVES[self.curve]
        factor = 1.0
        if now - self.begin < self.warmup:
            factor = rise((now - self.begin + 1) / (self.warmup + 1))
        if self.end is not None and self.end - now <= self.decay:
            factor = rise((self.end - now) / (self.decay + 1))
        return self.weight * factor
