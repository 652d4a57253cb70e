"""Building the Runner of a config, the same for every tool."""

from mmengine.config import Config
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.student import is_distillation


def enter_scope(cfg: Config) -> None:
    """Set the default scope as the Runner does, for what is built before it or without it.

    Configs of classes instead of names, mmengine's "pure Python" style, set ``default_scope=None``:
    modules then look for their parts in the registry of their own package.
    """
    scope = cfg.get('default_scope', 'mmengine')
    if scope is not None:
        init_default_scope(scope)


def build_runner(cfg: Config) -> Runner:
    """Return the Runner of a config, of the type ``runner_type`` if the config sets one.

    The Runner builds the model and the hooks. Data, evaluators and the optimizer are built later,
    when they are needed.

    Raises:
        ConfigError: A hook would overwrite the frozen teacher.
    """
    if is_distillation(cfg) and not cfg.model.get('teacher_exact'):
        for hook in cfg.get('custom_hooks') or ():
            if str(hook['type']).split('.')[-1].strip("'>") == 'MeanTeacherHook':
                raise ConfigError(
                    'custom_hooks has MeanTeacherHook, which would overwrite the frozen teacher '
                    'by averages of the student; remove it, or set model.teacher_exact=True where '
                    'teacher and student are the same network and this is wanted'
                )
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
