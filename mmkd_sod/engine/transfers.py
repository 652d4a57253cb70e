"""Copies of batches to a GPU that the host does not wait for."""

import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from torch import nn

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def pin_batches(cfg: Config) -> None:
    """Let the data loaders put batches into pinned memory, if there is a GPU.

    Args:
        cfg (Config): The whole config; loaders that set ``pin_memory`` keep it.
    """
    if not torch.cuda.is_available():
        return
    for name in LOADERS:
        if isinstance(cfg.get(name), dict):
            cfg[name].setdefault('pin_memory', True)


def upload_without_waiting(model: nn.Module) -> None:
    """Let data preprocessors copy pinned batches to the GPU while the host goes on.

    Args:
        model (nn.Module): The model; without a GPU nothing changes.
    """
    for module in model.modules():
        if isinstance(module, BaseDataPreprocessor):
            module._non_blocking = True
