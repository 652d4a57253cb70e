"""Building the Runner of a config, the same for every tool."""

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner


def build_runner(cfg: Config) -> Runner:
    """Return the Runner of a config, of the type ``runner_type`` if the config sets one.

    The Runner builds the model and the hooks. Data, evaluators and the optimizer are built later,
    when they are needed.
    """
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
