"""Distributed runs on machines without a GPU."""
import torch
from mmengine.config import Config

from mmkd_sod.errors import ConfigError


def prepare_launcher(cfg: Config) -> None:
    """Make ``--launcher pytorch`` work without CUDA.

    mmengine's ``init_dist`` asks for a CUDA device whatever the back end, and its default wrapper
    hands DDP a device list that DDP refuses on CPU. A gloo group started here, before the Runner,
    and a wrapper without devices get past both. With CUDA nothing is changed.

    Args:
        cfg (Config): The whole config; ``model_wrapper_cfg`` is set where the config has none.

    Raises:
        ConfigError: Another launcher than ``pytorch`` without CUDA.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise ConfigError(f'--launcher {launcher}: mmengine gives each process a GPU of its own, '
                          'and there is none here; start the processes with torchrun and '
                          '--launcher pytorch, which runs on CPU')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group(backend='gloo')
    cfg.env_cfg.dist_cfg = dict(backend='gloo')
    cfg.setdefault('model_wrapper_cfg', dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        find_unused_parameters=cfg.get('find_unused_parameters', False)))
