"""Pipelines that the predictor supports, and others."""

import numpy as np
import pytest
from mmdet.datasets.transforms import Pad, Resize
from mmdet.models import DetDataPreprocessor
from mmengine.config import Config
from mmseg.models import SegDataPreProcessor

from mmkd_sod.deployment.preprocessing import final_fill, is_fixed, pipeline_steps
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.data_preprocessors import RGBDDataPreprocessor
from tests.conftest import ROOT

NORM = dict(mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    'name, scale',
    [
        ('bccd_gfl_student', [320, 240]),
        ('human_seg_scfnet_student', [224, 224]),
        ('camvid_pspnet_student', [240, 180]),
    ],
)
def test_demo_pipelines(name, scale):
    cfg = Config.fromfile(ROOT / f'configs/demo/{name}.py')
    (step,) = pipeline_steps(cfg.test_dataloader.dataset.pipeline)
    assert step['scale'] == scale and step['keep_ratio'] == (name[:6] == 'camvid')


@pytest.mark.parametrize(
    'transform, part',
    [
        (dict(type='RandomFlip', prob=1.0), 'has RandomFlip'),
        (dict(type='Resize', scale=(9, 9), backend='pillow'), 'backend=pillow'),
        (dict(type='Resize', scale=(9, 9), interpolation='area'), 'interpolation=area'),
        (dict(type='Resize', scale=(9, -1)), 'Resize.scale='),
        (dict(type='Resize', scale=(float('inf'), 9)), 'Resize.scale='),
        (dict(type='Pad', pad_to_square=True), r'set Resize.scale=\(side, side\)'),
        (dict(type='Pad', size=(9, 9), padding_mode='edge'), 'padding_mode'),
    ],
)
def test_refuses(transform, part):
    with pytest.raises(ConfigError, match=part):
        pipeline_steps([transform])


@pytest.mark.parametrize(
    'resize, divisor, size',
    [
        (dict(scale=(128, 128), keep_ratio=True), None, 128),
        (dict(scale=(100, 100), keep_ratio=True), 32, 128),
        (dict(scale=(90, 60)), None, 90),
    ],
)
@pytest.mark.parametrize('height, width', [(30, 70), (80, 41), (64, 64)])
def test_square_padding_has_the_size_that_mmdet_gives(resize, divisor, size, height, width):
    pad = dict(type='Pad', pad_to_square=True, size_divisor=divisor, pad_val=dict(img=(114,) * 3))
    steps = pipeline_steps([dict(type='Resize', **resize), pad])
    assert steps[1]['size'] == [size, size] and steps[1]['value'] == [114] * 3
    found = dict(img=np.zeros((height, width, 3), np.uint8))
    for transform in (Resize(**resize), Pad(**{key: pad[key] for key in pad if key != 'type'})):
        found = transform(found)
    assert found['img'].shape == (size, size, 3)


def test_square_padding_of_unequal_sides_is_refused():
    resize = dict(type='Resize', scale=(100, 60), keep_ratio=True)
    with pytest.raises(ConfigError, match='Pad with pad_to_square has no fixed size'):
        pipeline_steps([resize, dict(type='Pad', pad_to_square=True)])


def test_padding_value_is_given_before_normalisation():
    det = DetDataPreprocessor(**NORM, bgr_to_rgb=True, pad_size_divisor=32, pad_value=2)
    assert final_fill(det) == dict(size=None, divisor=32, value=[12.0, 24.0, 38.0])
    # Values of a model of BGR images are in that order.
    bgr = DetDataPreprocessor(**NORM, pad_size_divisor=1)
    assert final_fill(bgr)['value'] == [30.0, 20.0, 10.0]
    plain = DetDataPreprocessor(pad_value=7)
    assert final_fill(plain)['value'] == [7.0, 7.0, 7.0]
    seg = SegDataPreProcessor(**NORM, bgr_to_rgb=True, size=(8, 9), test_cfg=dict(size=(30, 40)))
    assert final_fill(seg)['size'] == [40, 30]
    # Padding in training does not affect testing.
    assert final_fill(SegDataPreProcessor(**NORM, size=(8, 9))) == dict(
        size=None, divisor=None, value=[30.0, 20.0, 10.0]
    )


def test_two_inputs_are_refused():
    with pytest.raises(ConfigError, match='data preprocessor .* is not supported'):
        final_fill(RGBDDataPreprocessor())


def test_fixed_sizes():
    none = dict(size=None, divisor=32)
    fixed = dict(kind='resize', scale=[8, 8], factor=None, keep_ratio=False)
    kept = dict(fixed, keep_ratio=True)
    pad = dict(kind='pad', size=[16, 16], divisor=None)
    assert is_fixed(dict(steps=[fixed], fill=none))
    assert not is_fixed(dict(steps=[kept], fill=none))
    assert not is_fixed(dict(steps=[], fill=none))
    assert not is_fixed(dict(steps=[dict(kept, scale=None, factor=[2.0, 2.0])], fill=none))
    assert is_fixed(dict(steps=[kept, pad], fill=none))
    assert is_fixed(dict(steps=[kept], fill=dict(size=[16, 16], divisor=None)))
