"""Pinned batches and copies that nobody waits for."""

import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from torch import nn

from mmkd_sod.engine.transfers import pin_batches, upload_without_waiting


def config():
    return Config(dict(train_dataloader=dict(num_workers=2), val_dataloader=dict(pin_memory=False)))


def test_only_with_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = config()
    pin_batches(cfg)
    assert 'pin_memory' not in cfg.train_dataloader
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    pin_batches(cfg)
    assert cfg.train_dataloader.pin_memory and not cfg.val_dataloader.pin_memory
    assert 'test_dataloader' not in cfg


def test_preprocessors():
    model = nn.Sequential(nn.ReLU(), BaseDataPreprocessor())
    assert not model[1]._non_blocking
    upload_without_waiting(model)
    assert model[1]._non_blocking
