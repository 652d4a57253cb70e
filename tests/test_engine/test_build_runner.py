"""The Runner is of the type that the config names."""

import pytest
from mmdet.engine.hooks import MeanTeacherHook
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmkd_sod.engine import build_runner as module
from mmkd_sod.errors import ConfigError


@pytest.fixture
def own_type():
    @RUNNERS.register_module(name='RunnerOfThisTest')
    class Own:
        def __init__(self, cfg):
            self.cfg = cfg

        @classmethod
        def from_cfg(cls, cfg):
            return cls(cfg)

    yield Own
    RUNNERS.module_dict.pop('RunnerOfThisTest')


def test_a_runner_type_is_built(own_type):
    cfg = Config(dict(runner_type='RunnerOfThisTest', model=dict(type='A')))
    built = module.build_runner(cfg)
    assert type(built) is own_type and built.cfg.model.type == 'A'


def test_without_one_it_is_mmengines(monkeypatch):
    monkeypatch.setattr(Runner, 'from_cfg', classmethod(lambda cls, cfg: (cls, cfg)))
    cfg = Config(dict())
    assert module.build_runner(cfg) == (Runner, cfg)


def test_a_hook_that_overwrites_the_teacher_is_refused(monkeypatch):
    monkeypatch.setattr(Runner, 'from_cfg', classmethod(lambda cls, cfg: cfg))
    model = dict(type='mmkd_sod.DenseDistill', architecture=dict(), teacher=dict())
    cfg = Config(dict(model=model, custom_hooks=[dict(type='mmdet.MeanTeacherHook')]))
    with pytest.raises(ConfigError, match='MeanTeacherHook, which would overwrite'):
        module.build_runner(cfg)
    cfg.custom_hooks[0].type = MeanTeacherHook
    with pytest.raises(ConfigError, match='MeanTeacherHook, which would overwrite'):
        module.build_runner(cfg)
    cfg.model.teacher_exact = True
    assert module.build_runner(cfg) is cfg
    semi = Config(dict(model=dict(type='SoftTeacher'), custom_hooks=cfg.custom_hooks))
    assert module.build_runner(semi) is semi
