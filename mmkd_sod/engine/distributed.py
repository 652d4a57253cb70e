"""Distributed runs on machines without a GPU."""

import torch
from mmengine.config import Config

from mmkd_sod.errors import ConfigError


def prepare_launcher(cfg: Config) -> None:
    """Make ``--launcher pytorch`` work without CUDA.

    mmengine's ``init_dist`` requires a CUDA device for any backend, and its default model wrapper
    passes device ids that DDP refuses on a CPU. This function starts a gloo group before the Runner
    does and sets a wrapper without device ids. With CUDA it changes nothing.

    Args:
        cfg (Config): The whole config; ``model_wrapper_cfg`` is set if it has none.

    Raises:
        ConfigError: The launcher is neither ``none`` nor ``pytorch``, and there is no GPU.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise ConfigError(
            f'--launcher {launcher} needs a GPU for each process, and this machine '
            'has none; start the processes with torchrun and --launcher pytorch, '
            'which runs on a CPU'
        )
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group(backend='gloo')
    cfg.env_cfg.dist_cfg = dict(backend='gloo')
    cfg.setdefault(
        'model_wrapper_cfg',
        dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        ),
    )
