"""The CrossKD recipes beyond dense heads: released settings, addresses, data and schedule."""

import functools
import re
from pathlib import Path

import mmdet
import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from mmkd_sod.registry import MODELS
from tests.conftest import ROOT
from tests.test_configs.test_crosskd_recipes import without_scopes

FOLDER = ROOT / 'configs' / 'crosskd'
# Recipe: teacher (mmdet's name), epochs, loss weights, options.
QUERIES = 'deformable-detr-refine-twostage_r50_16xb2-50e_coco'
RECIPES = dict(
    faster_rcnn_r18=('faster-rcnn_r50_fpn_1x_coco', 12, dict(cls=0.5, reg=1.0), {}),
    mask_rcnn_r18=(
        'mask-rcnn_r50_fpn_1x_coco',
        12,
        dict(cls=0.5, reg=1.0, mask=1.0),
        dict(masks='all'),
    ),
    deformable_detr_r18=(
        QUERIES,
        50,
        dict(cls=1.0, reg=1.0, iou=None),
        dict(queries='teacher', boxes='pixels'),
    ),
    deformable_detr_r18_giou=(
        QUERIES,
        50,
        dict(cls=1.0, reg=1.0, iou=1.0),
        dict(queries='teacher', boxes='normalised'),
    ),
    deformable_detr_r18_student=(
        QUERIES,
        50,
        dict(cls=1.0, reg=1.0, iou=None),
        dict(queries='student', boxes='pixels'),
    ),
    yolov3_d53=(
        'yolov3_d53_8xb8-ms-608-273e_coco',
        273,
        dict(cls=1.0, conf=1.0, xy=1.0, wh=2.0),
        {},
    ),
)


@functools.cache
def recipe(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


@pytest.mark.parametrize('name', RECIPES)
def test_settings_are_the_released_ones(name):
    _, epochs, weights, options = RECIPES[name]
    cfg = recipe(name)
    distiller = dict(cfg.model.distiller)
    assert distiller.pop('type') == 'mmkd_sod.CrossKDDistiller'
    for term, weight in weights.items():
        loss = distiller.pop(f'loss_{term}_kd')
        assert (loss is False) if weight is None else (loss['loss_weight'] == weight)
    assert distiller == options
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.custom_imports['imports'] == ['mmkd_sod']
    MODELS.build(cfg.model.distiller)


@pytest.mark.parametrize('name', RECIPES)
def test_data_schedule_and_addresses_are_mmdets(name):
    cfg = recipe(name)
    theirs = get_config(cfg.model.teacher.cfg_path)
    for key in ('train_dataloader', 'val_evaluator', 'optim_wrapper', 'param_scheduler'):
        assert without_scopes(cfg[key]) == without_scopes(theirs[key]), key
    folder = cfg.model.teacher.cfg_path.removeprefix('mmdet::').split('/')[0]
    zoo = Path(mmdet.__file__).parent / '.mim' / 'configs' / folder / 'metafile.yml'
    addresses = re.findall(
        r'Config: \S+/(\S+)\.py\n(?:(?!.*- Name).*\n)*? +Weights: (\S+)', zoo.read_text()
    )
    assert dict(addresses)[RECIPES[name][0]] == cfg.model.teacher_ckpt


def test_pkd_stands_beside_crosskd():
    crosskd, pkd = recipe('faster_rcnn_r18_pkd').model.distiller.distillers
    assert crosskd == recipe('faster_rcnn_r18').model.distiller
    assert pkd.distill_losses.loss_feat_kd.loss_weight == 6.0
