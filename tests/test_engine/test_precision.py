"""Mixed precision and determinism, from the tools' options."""

import os

import pytest
from mmengine.config import Config

from mmkd_sod.engine import precision
from mmkd_sod.errors import ConfigError


def config(**options):
    return Config(dict(optim_wrapper=dict(type='OptimWrapper'), **options))


@pytest.mark.parametrize(('dtype', 'scale'), [('float16', 'dynamic'), ('bfloat16', 1.0)])
def test_mixed_precision(monkeypatch, dtype, scale):
    monkeypatch.setattr(precision, 'get_device', lambda: 'cuda')
    cfg = config()
    precision.set_mixed_precision(cfg, dtype)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', dtype=dtype, loss_scale=scale)


def test_not_on_a_cpu(monkeypatch):
    monkeypatch.setattr(precision, 'get_device', lambda: 'cpu')
    with pytest.raises(ConfigError, match='--amp: mmengine trains'):
        precision.set_mixed_precision(config(), 'float16')


@pytest.fixture
def workspace(monkeypatch):
    monkeypatch.setenv(precision.WORKSPACE, 'x')
    monkeypatch.delenv(precision.WORKSPACE)
    return lambda: os.environ.get(precision.WORKSPACE)


@pytest.mark.parametrize('randomness', [None, dict(seed=3), dict(seed=3, deterministic=True)])
@pytest.mark.parametrize('wanted', [False, True])
def test_deterministic(workspace, randomness, wanted):
    cfg = config() if randomness is None else config(randomness=randomness)
    precision.set_deterministic(cfg, wanted)
    asked = wanted or bool((randomness or {}).get('deterministic'))
    assert workspace() == (precision.WORKSPACE_SIZE if asked else None)
    assert bool((cfg.get('randomness') or {}).get('deterministic')) == asked
    assert (cfg.get('randomness') or {}).get('seed') == (randomness or {}).get('seed')


def test_a_workspace_that_is_set_stays(monkeypatch):
    monkeypatch.setenv(precision.WORKSPACE, ':16:8')
    precision.set_deterministic(config(), True)
    assert os.environ[precision.WORKSPACE] == ':16:8'
