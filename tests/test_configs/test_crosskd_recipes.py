"""The published CrossKD recipes: what they say, what they inherit, and one training step each."""

import copy
import functools
import re
from pathlib import Path

import mmdet
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_detectors import random_batch
from tests.conftest import ROOT

FOLDER = ROOT / 'configs' / 'crosskd'
ALL = sorted(path.stem for path in FOLDER.glob('*.py'))
RECIPES = [name for name in ALL if name.split('_')[0] in ('atss', 'fcos', 'gfl', 'retinanet')]
# Head: split, weights of class, box and centerness term, what compares boxes.
TABLE = dict(
    gfl=(3, 1.0, 4.0, None, 'mmkd_sod.KDKLDivLoss'),
    retinanet=(3, 1.0, 1.0, None, 'mmdet.GIoULoss'),
    atss=(3, 1.0, 1.0, 1.0, 'mmdet.GIoULoss'),
    fcos=(2, 0.4, 0.75, None, 'mmdet.IoULoss'),
)
# Recipe: student, teacher (mmdet's names), epochs.
PAIRS = dict(
    gfl_r50=('gfl_r50_fpn_1x_coco', 'gfl_r101_fpn_ms-2x_coco', 12),
    gfl_r18=('gfl_r50_fpn_1x_coco', 'gfl_r50_fpn_1x_coco', 12),
    retinanet_r50=('retinanet_r50_fpn_2x_coco', 'retinanet_r101_fpn_2x_coco', 24),
    retinanet_r18=('retinanet_r18_fpn_1x_coco', 'retinanet_r50_fpn_1x_coco', 12),
    retinanet_r50_swint=('retinanet_r50_fpn_1x_coco', 'retinanet_swin-t-p4-w7_fpn_1x_coco', 12),
    atss_r50=('atss_r50_fpn_1x_coco', 'atss_r101_fpn_1x_coco', 12),
    fcos_r50=(
        'fcos_r50-caffe_fpn_gn-head_ms-640-800-2x_coco',
        'fcos_r101-caffe_fpn_gn-head_ms-640-800-2x_coco',
        24,
    ),
)


@functools.cache
def recipe(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


@functools.cache
def mmdets(cfg_path: str) -> Config:
    return get_config(cfg_path)


def crosskd_of(cfg: Config):
    distiller = cfg.model.distiller
    return distiller.distillers[0] if 'distillers' in distiller else distiller


def without_scopes(node):
    """Plain values of a config: mmengine marks inherited parts with their scope."""
    if isinstance(node, dict):
        return {key: without_scopes(value) for key, value in node.items() if key != '_scope_'}
    if isinstance(node, (list, tuple)):
        return [without_scopes(item) for item in node]
    return node


def test_all_are_listed():
    assert {name.removesuffix('_pkd') for name in RECIPES} == set(PAIRS)
    readme = (FOLDER / 'README.md').read_text()
    assert all(f'`{name}`' in readme for name in {name.removesuffix('_pkd') for name in ALL})


@pytest.mark.parametrize('name', RECIPES)
def test_numbers(name):
    text = (FOLDER / f'{name}.py').read_text()
    assert len(text.splitlines()) < 20
    cfg = recipe(name)
    distiller = crosskd_of(cfg)
    idx, cls, reg, center, box_loss = TABLE[name.split('_')[0]]
    assert distiller.type == 'mmkd_sod.CrossKDDistiller'
    assert distiller.reused_teacher_head_idx == idx
    assert distiller.loss_cls_kd == dict(
        type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=cls
    )
    assert (distiller.loss_reg_kd.type, distiller.loss_reg_kd.loss_weight) == (box_loss, reg)
    assert distiller.get('loss_center_kd', dict(loss_weight=None))['loss_weight'] == center
    if name.endswith('_pkd'):
        _, pkd = cfg.model.distiller.distillers
        loss = pkd.distill_losses.loss_feat_kd
        assert (loss.type, loss.loss_weight) == ('mmrazor.PKDLoss', 6.0)


@pytest.mark.parametrize('name', RECIPES)
def test_student_teacher_and_address(name):
    cfg = recipe(name).model
    student, teacher, _ = PAIRS[name.removesuffix('_pkd')]
    assert cfg.architecture.cfg_path.split('/')[1] == student + '.py'
    assert cfg.teacher.cfg_path.split('/')[1] == teacher + '.py'
    if 'swin' in name:
        assert cfg.teacher_ckpt.startswith('checkpoints/')
        return
    folder = cfg.teacher.cfg_path.removeprefix('mmdet::').split('/')[0]
    zoo = Path(mmdet.__file__).parent / '.mim' / 'configs' / folder / 'metafile.yml'
    addresses = dict(
        re.findall(r'- Name: (\S+)\n(?:(?!.*- Name).*\n)*? +Weights: (\S+)', zoo.read_text())
    )
    assert cfg.teacher_ckpt == addresses[teacher]


@pytest.mark.parametrize('name', RECIPES)
def test_data_schedule_and_optimizer_are_mmdets(name):
    cfg = recipe(name)
    student = mmdets(cfg.model.architecture.cfg_path)
    assert cfg.train_cfg.max_epochs == PAIRS[name.removesuffix('_pkd')][2]
    assert cfg.custom_imports['imports'] == ['mmkd_sod']
    for key in (
        'train_dataloader',
        'val_dataloader',
        'test_dataloader',
        'val_evaluator',
        'train_cfg',
        'param_scheduler',
        'optim_wrapper',
        'auto_scale_lr',
        'default_hooks',
    ):
        assert without_scopes(cfg[key]) == without_scopes(student[key]), key


@pytest.mark.parametrize('name', RECIPES)
def test_one_step(name):
    init_default_scope('mmdet')
    cfg = copy.deepcopy(recipe(name))
    cfg.model.update(teacher_ckpt=None, teacher_allow_missing=['*'], teacher_fold_bn=False)
    model = MODELS.build(cfg.model).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    tracked = model.student.bbox_head.cls_convs[0].conv.weight
    before = tracked.detach().clone()
    logged = model.train_step(random_batch(images=2, height=64, width=64, classes=80), wrapper)
    kd = {key for key in logged if key.startswith('distill.')}
    wanted = {'distill.loss_cls_kd', 'distill.loss_reg_kd'}
    wanted |= {'distill.loss_center_kd'} if name.startswith('atss') else set()
    wanted |= {'distill.loss_feat_kd'} if name.endswith('_pkd') else set()
    assert kd == wanted
    assert all(torch.isfinite(value) for value in logged.values())
    assert logged['distill.loss_cls_kd'] > 0
    assert not torch.equal(before, tracked)
