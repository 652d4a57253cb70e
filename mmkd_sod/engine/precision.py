"""Mixed precision and determinism of a run, from a tool's options to the config."""

import os

from mmengine.config import Config
from mmengine.device import get_device

from mmkd_sod.errors import ConfigError

AMP_DTYPES = ('float16', 'bfloat16')
# torch asks for it where deterministic algorithms use cuBLAS; read when CUDA starts.
WORKSPACE, WORKSPACE_SIZE = 'CUBLAS_WORKSPACE_CONFIG', ':4096:8'


def set_mixed_precision(cfg: Config, dtype: str) -> None:
    """Let the config's optimizer wrapper train in mixed precision.

    Args:
        cfg (Config): The whole config.
        dtype (str): ``'float16'``, with a dynamic loss scale, or ``'bfloat16'``, whose range needs
            none: its scale stays 1.

    Raises:
        ConfigError: There is no accelerator.
    """
    if get_device() == 'cpu':
        raise ConfigError(
            '--amp: mmengine trains in mixed precision on accelerators only, and '
            'there is none here; leave it out'
        )
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.dtype = dtype
    cfg.optim_wrapper.loss_scale = 'dynamic' if dtype == 'float16' else 1.0


def set_deterministic(cfg: Config, wanted: bool) -> None:
    """Make a run deterministic if asked for; call it before anything runs on a GPU.

    Args:
        cfg (Config): The whole config; one with ``randomness.deterministic`` asks for it too.
        wanted (bool): Whether the command line asks for it.
    """
    randomness = dict(cfg.get('randomness') or {})
    if wanted:
        cfg.randomness = randomness = dict(randomness, deterministic=True)
    if randomness.get('deterministic'):
        os.environ.setdefault(WORKSPACE, WORKSPACE_SIZE)
