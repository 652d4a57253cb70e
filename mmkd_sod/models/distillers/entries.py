"""The settings of CompositeDistiller for each of its distillers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from mmengine.dist import is_distributed
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError

from .weight_schedule import WeightSchedule

_SCHEDULE = tuple(field.name for field in fields(WeightSchedule))
_KEYS = ('distiller', 'name', 'teacher', *_SCHEDULE)


@dataclass
class Entry:
    """The settings of one distiller among several, and its state.

    Attributes:
        schedule (WeightSchedule): Its weight by epoch or iteration.
        name (str, optional): Prefix of the names of its losses.
        teachers (tuple[str]): Names of the teachers that it compares the student with. Several
            stand for the average of their logits, none for the only teacher.
        factor (float, optional): The weight in the current step; None until it is known.
        logged (tuple[str]): Names of the losses of its last step.
    """

    schedule: WeightSchedule
    name: str | None = None
    teachers: tuple[str, ...] = ()
    factor: float | None = None
    logged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.schedule.constant:
            self.factor = self.schedule(0)

    @property
    def on(self) -> bool:
        """Whether it takes part in the current step."""
        return self.factor != 0

    def update(self, now: int, by_epoch: bool) -> None:
        """Set the current epoch or iteration."""
        if not self.schedule.constant and self.schedule.by_epoch == by_epoch:
            self.factor = self.schedule(now)

    def weigh(self, losses: dict) -> dict:
        """Prefix and weigh losses; values that are only logged stay as they are.

        Raises:
            ConfigError: The weight follows the epoch (or iteration), which was never set.
        """
        if self.factor is None:
            what = 'epoch' if self.schedule.by_epoch else 'iteration'
            raise ConfigError(
                f'CompositeDistiller: a weight has a schedule, but no {what} was '
                "set; add dict(type='mmkd_sod.EpochScheduleHook') to custom_hooks"
            )
        prefix = '' if self.name is None else f'{self.name}.'
        weighed = {
            prefix + name: _times(self.factor, value) if 'loss' in name else value
            for name, value in losses.items()
        }
        self.logged = tuple(name for name in weighed if 'loss' in name)
        return weighed


def _times(factor: float, loss: Tensor | Sequence[Tensor]) -> Tensor | Sequence[Tensor]:
    if factor == 1:
        return loss
    return factor * loss if isinstance(loss, Tensor) else [factor * level for level in loss]


def read_entry(cfg: dict, position: int) -> tuple[dict, Entry]:
    """Split an entry of ``distillers`` into the distiller's own config and the rest.

    Args:
        cfg (dict): A distiller's config, or ``dict(distiller=config, **settings)``.
        position (int): Its index in the list, for messages.

    Raises:
        ConfigError: A setting is unknown or out of range.
    """
    if not isinstance(cfg, dict) or ('type' not in cfg and 'distiller' not in cfg):
        raise ConfigError(
            f'CompositeDistiller: distillers[{position}] is {cfg!r}; give a '
            "distiller's config or dict(distiller=..., weight=..., end=...)"
        )
    if 'type' in cfg:
        return cfg, Entry(WeightSchedule())
    unknown = sorted(set(cfg) - set(_KEYS))
    if unknown:
        raise ConfigError(
            f'CompositeDistiller: distillers[{position}] has the setting '
            f"'{unknown[0]}', which is unknown; choose from {', '.join(_KEYS)}"
        )
    name, teacher = cfg.get('name'), cfg.get('teacher')
    if name is not None and (not name or 'loss' in name or '.' in name):
        raise ConfigError(
            f"CompositeDistiller: distillers[{position}].name='{name}' becomes a "
            "prefix of loss names; use a word without '.' and without 'loss'"
        )
    teachers = (
        () if teacher is None else ((teacher,) if isinstance(teacher, str) else tuple(teacher))
    )
    if len(set(teachers)) != len(teachers):
        raise ConfigError(
            f'CompositeDistiller: distillers[{position}].teacher={list(teachers)} '
            'names a teacher twice; name each once'
        )
    schedule = WeightSchedule(**{key: cfg[key] for key in _SCHEDULE if key in cfg})
    return cfg['distiller'], Entry(schedule, name, teachers)


def idle_loss(*modules: nn.Module) -> dict[str, Tensor]:
    """Return a loss of 0 that reaches the learned parameters of inactive distillers.

    DistributedDataParallel waits for the gradient of every parameter. Without DDP the dict is
    empty, and an optimizer skips parameters without a gradient. (With DDP their gradient is 0, so
    weight decay continues.)

    Args:
        modules (nn.Module): The distillers.

    Returns:
        dict: ``loss_idle``, or nothing.
    """
    if not is_distributed():
        return {}
    # The sum over no element is 0 whatever the weights are.
    zeros = [
        weight.flatten()[:0].sum()
        for module in modules
        for weight in module.parameters()
        if weight.requires_grad
    ]
    return dict(loss_idle=sum(zeros[1:], start=zeros[0])) if zeros else {}
