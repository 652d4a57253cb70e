"""Extracting the student of a distillation."""

import pytest
import torch
from mmengine.config import Config

from mmkd_sod.errors import CheckpointError
from mmkd_sod.models.student import (
    is_distillation,
    load_student,
    own_types,
    student_checkpoint,
    student_config,
    write_student,
)
from tests.saliency import save_network


def test_student_of_a_recipe():
    cfg = Config.fromfile('configs/crosskd/gfl_r18.py')
    assert is_distillation(cfg)
    plain = student_config(cfg)
    assert plain.model.type == 'GFL' and plain.model.backbone.depth == 18
    assert not own_types(plain) and 'custom_imports' not in plain
    assert plain.optim_wrapper.optimizer.lr == cfg.optim_wrapper.optimizer.lr
    assert cfg.model.type == 'mmkd_sod.DenseDistill'  # the original is unchanged


def test_plain_configs_pass():
    cfg = Config.fromfile('configs/demo/bccd_gfl_student.py')
    assert not is_distillation(cfg)
    assert student_config(cfg).model == cfg.model


def test_types_of_this_package_are_listed():
    cfg = Config(
        dict(
            custom_imports=dict(imports=['mmkd_sod', 'mine']),
            custom_hooks=[dict(type='mmkd_sod.X'), dict(type='EMAHook')],
            model=dict(
                type='mmkd_sod.DenseDistill',
                teacher=dict(type='T'),
                architecture=dict(type='A', head=dict(type='mmkd_sod.SCFHead')),
            ),
        )
    )
    plain = student_config(cfg)
    assert own_types(plain) == ['mmkd_sod.SCFHead']
    assert plain.custom_imports.imports == ['mmkd_sod', 'mine']
    assert [hook.type for hook in plain.custom_hooks] == ['EMAHook']


def test_checkpoint(tmp_path):
    path = tmp_path / 'a.pth'
    meta = dict(epoch=2, dataset_meta=dict(classes=('a',)), cfg='long text')
    torch.save(
        dict(
            state_dict={'a': torch.ones(1), 'distiller.g': torch.ones(1)},
            meta=meta,
            optimizer=dict(x=1),
        ),
        path,
    )
    found = student_checkpoint(str(path))
    assert list(found['state_dict']) == ['a'] and set(found) == {'state_dict', 'meta'}
    assert found['meta'] == dict(epoch=2, dataset_meta=dict(classes=('a',)))


def test_a_student_is_loaded_and_written(tmp_path):
    config, weights = save_network(tmp_path)
    cfg = Config.fromfile(config)
    cfg.load_from, cfg.resume = 'elsewhere.pth', True
    plain, checkpoint, model = load_student(cfg, weights)
    assert plain.load_from is None and plain.resume is False and not model.training
    state = model.state_dict()
    assert checkpoint['state_dict'].keys() == state.keys()
    write_student(plain, checkpoint, tmp_path / 'out/a.py', tmp_path / 'out/a.pth')
    again = load_student(Config.fromfile(tmp_path / 'out/a.py'), str(tmp_path / 'out/a.pth'))[2]
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


def test_weights_of_another_student_are_refused(tmp_path):
    config, weights = save_network(tmp_path)
    cfg = Config.fromfile(config)
    cfg.model.decode_head.channels = 8
    with pytest.raises(CheckpointError, match=r'does not fit the student .* in \d+ of \d+ weights'):
        load_student(cfg, weights)
