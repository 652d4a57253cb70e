"""Settings of the predictor, and models that are refused."""

import json

import pytest
from mmengine.config import Config

from mmkd_sod.deployment.networks import DetectionNetwork, SegmentationNetwork
from mmkd_sod.deployment.recipe import make_recipe
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.student import load_student
from tests.shipments import TASKS, tiny

LOADER = 'test_dataloader'


@pytest.fixture
def parts(request, tmp_path, scenes):
    cfg, path = tiny(getattr(request, 'param', 'detection'), tmp_path, scenes)
    plain, _, model = load_student(cfg, path)
    return plain, model


@pytest.mark.parametrize('parts', TASKS, indirect=True)
def test_tasks(parts, request):
    task = request.node.callspec.params['parts']
    recipe = make_recipe(*parts, dict(classes=list('abcdef')), LOADER)
    assert json.loads(json.dumps(recipe.spec)) == recipe.spec
    assert recipe.spec['task'] == task and not recipe.network.training
    kind = DetectionNetwork if task == 'detection' else SegmentationNetwork
    assert type(recipe.network) is kind and recipe.network.model is not parts[1]
    classes = ['salient'] if task == 'saliency' else list('abcdef')
    assert recipe.spec['classes'] == classes
    assert len(recipe.spec['palette']) == len(classes)


def test_detection_settings(parts):
    output = make_recipe(*parts, {}, LOADER).spec['output']
    assert output == dict(
        levels=5,
        score_thr=0.0,
        nms_pre=1000,
        min_bbox_size=0,
        iou_threshold=0.6,
        class_agnostic=False,
        max_per_img=100,
        clip=True,
    )


def test_palette_of_the_data_is_kept(parts):
    meta = dict(classes=['a', 'b'], palette=[(1, 2, 3), (4, 5, 6)])
    assert make_recipe(*parts, meta, LOADER).spec['palette'] == [[1, 2, 3], [4, 5, 6]]


def test_a_wrapped_data_set_has_a_pipeline(parts):
    cfg, model = parts
    cfg[LOADER].dataset = dict(type='ConcatDataset', datasets=[cfg[LOADER].dataset])
    assert make_recipe(cfg, model, {}, LOADER).spec['input']['steps']
    cfg[LOADER].dataset = dict(type='ConcatDataset', datasets=[])
    with pytest.raises(ConfigError, match='has no pipeline'):
        make_recipe(cfg, model, {}, LOADER)


@pytest.mark.parametrize(
    'nms',
    [
        dict(type='soft_nms', iou_threshold=0.5),
        dict(type='nms'),
        None,
        dict(type='nms', iou_threshold=0.5, score_threshold=0.1),
    ],
)
def test_another_nms_is_refused(parts, nms):
    cfg, model = parts
    model.bbox_head.test_cfg.nms = nms
    with pytest.raises(ConfigError, match='test_cfg.nms='):
        make_recipe(cfg, model, {}, LOADER)


def test_models_that_predict_otherwise_are_refused(parts):
    cfg, model = parts
    kind = type(model)
    model.__class__ = type('Odd', (kind,), dict(predict=lambda self, *args, **kwargs: None))
    with pytest.raises(ConfigError, match='Odd has its own predict method'):
        make_recipe(cfg, model, {}, LOADER)


@pytest.mark.parametrize('parts', ['segmentation'], indirect=True)
def test_sliding_windows_are_refused(parts):
    cfg, model = parts
    model.test_cfg = Config(dict(a=dict(mode='slide'))).a
    with pytest.raises(ConfigError, match="mode='slide'"):
        make_recipe(cfg, model, {}, LOADER)
