"""From a distillation to a plain student."""
import torch
from mmengine.config import Config

from mmkd_sod.apis.student import is_distillation, parts_of_ours, student_checkpoint, student_config


def test_student_of_a_recipe():
    cfg = Config.fromfile('configs/crosskd/gfl_r18.py')
    assert is_distillation(cfg)
    plain = student_config(cfg)
    assert plain.model.type == 'GFL' and plain.model.backbone.depth == 18
    assert not parts_of_ours(plain) and 'custom_imports' not in plain
    assert plain.optim_wrapper.optimizer.lr == cfg.optim_wrapper.optimizer.lr
    assert cfg.model.type == 'mmkd_sod.DenseDistill'  # the original is left alone


def test_plain_configs_pass():
    cfg = Config.fromfile('configs/demo/bccd_gfl_student.py')
    assert not is_distillation(cfg)
    assert student_config(cfg).model == cfg.model


def test_what_still_needs_the_package_is_kept():
    cfg = Config(dict(
        custom_imports=dict(imports=['mmkd_sod', 'mine']),
        custom_hooks=[dict(type='mmkd_sod.X'), dict(type='EMAHook')],
        model=dict(type='mmkd_sod.DenseDistill', teacher=dict(type='T'),
                   architecture=dict(type='A', head=dict(type='mmkd_sod.SCFHead')))))
    plain = student_config(cfg)
    assert parts_of_ours(plain) == ['mmkd_sod.SCFHead']
    assert plain.custom_imports.imports == ['mmkd_sod', 'mine']
    assert [hook.type for hook in plain.custom_hooks] == ['EMAHook']


def test_checkpoint(tmp_path):
    path = tmp_path / 'a.pth'
    meta = dict(epoch=2, dataset_meta=dict(classes=('a', )), cfg='long text')
    torch.save(dict(state_dict={'a': torch.ones(1), 'distiller.g': torch.ones(1)}, meta=meta,
                    optimizer=dict(x=1)), path)
    found = student_checkpoint(str(path))
    assert list(found['state_dict']) == ['a'] and set(found) == {'state_dict', 'meta'}
    assert found['meta'] == dict(epoch=2, dataset_meta=dict(classes=('a', )))
