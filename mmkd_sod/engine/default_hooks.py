"""Hooks that `tools/train.py` adds to every config."""

from collections.abc import Sequence

from mmengine.config import Config

DEFAULT_HOOKS = (
    'StepSeedHook',
    'RunStateHook',
    'FiniteLossHook',
    'SharedMemoryHook',
    'LabelRangeHook',
)


def add_default_hooks(cfg: Config, names: Sequence[str] = DEFAULT_HOOKS) -> None:
    """Add those of some hooks to a config that it does not have."""
    hooks = list(cfg.get('custom_hooks') or [])
    named = {getattr(hook['type'], '__name__', str(hook['type'])).split('.')[-1] for hook in hooks}
    cfg.custom_hooks = [
        *hooks,
        *(dict(type=f'mmkd_sod.{name}') for name in names if name not in named),
    ]
