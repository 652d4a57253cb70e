"""Sizes of the models, and their classes compared with the data."""

import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.doctor import models
from mmkd_sod.models.builder import build_model
from mmkd_sod.testing.small_segmentors import small_segmentor
from tests.detection import detector
from tests.doctor import findings, run_section
from tests.saliency import scfnet


@pytest.mark.parametrize(
    'cfg, wanted',
    [
        (lambda: detector(classes=3), dict(bbox_head=3)),
        (lambda: dict(scfnet(), _scope_='mmseg'), dict(decode_head=2)),
        (lambda: small_segmentor('FCN', classes=5), dict(decode_head=5, auxiliary_head=5)),
    ],
)
def test_classes_of_heads(cfg, wanted):
    assert models.classes_of(build_model(dict(cfg()))) == wanted


def test_sizes_are_counted(section):
    found = section('models').data
    assert found['student']['type'] == ['GFL', 'GFLHead'] and found['student']['parameters'] > 1e5
    assert found['distiller'] == dict(type='CrossKDDistiller', parameters=0)


@pytest.mark.parametrize('label, error', [(5, ''), (6, 'a box of label 6, the student has labels')])
def test_labels_beyond_the_classes_are_reported(scenes, label, error):
    sample = SegDataSample()
    sample.gt_instances = InstanceData(labels=torch.tensor([0, label]))
    _, section = run_section(models, scenes, run='student', batch=dict(data_samples=[sample]))
    assert error in findings(section, 'error') and bool(error) == bool(findings(section, 'error'))


def test_ignored_pixels_are_no_labels(scenes):
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([[[0, 255, 5]]])))
    _, section = run_section(models, scenes, run='student', batch=dict(data_samples=[sample]))
    assert not findings(section, 'error')


def test_a_plain_model_is_reported_as_plain(scenes):
    context, section = run_section(models, scenes, run='student')
    assert 'nothing is distilled' in findings(section, 'note') and not context.distils
