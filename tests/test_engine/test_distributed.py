"""Launching without a GPU."""

import pytest
import torch
from mmengine.config import Config

from mmkd_sod.engine import distributed


@pytest.fixture
def started(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.distributed, 'init_process_group', lambda **kw: calls.append(kw))
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: False)
    return calls


def config(**more):
    return Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl')), **more))


def test_gloo_and_a_wrapper_without_devices(started, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = config()
    distributed.prepare_launcher(cfg)
    assert started == [dict(backend='gloo')]
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'
    assert cfg.model_wrapper_cfg.device_ids is None
    mine = config(model_wrapper_cfg=dict(type='Mine'))
    distributed.prepare_launcher(mine)
    assert mine.model_wrapper_cfg.type == 'Mine'


def test_nothing_changes_with_a_gpu_or_without_a_launcher(started, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = config()
    distributed.prepare_launcher(cfg)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    distributed.prepare_launcher(Config(dict(launcher='none')))
    assert not started and cfg.env_cfg.dist_cfg.backend == 'nccl'
