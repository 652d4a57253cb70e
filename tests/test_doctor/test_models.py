"""Sizes of the models, and their classes compared with the data."""

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.doctor import models
from mmkd_sod.doctor.context import Context
from mmkd_sod.doctor.report import Section
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


def checked(scenes, sample, ignored=None):
    """Return the errors on the labels of a sample for a segmentor of 6 classes."""
    model = build_model(small_segmentor('FCN', classes=6))
    for head in (model.decode_head, model.auxiliary_head):
        head.ignore_index = 255 if ignored is None else ignored
    section = Section('data', 'Data')
    models.check_classes(
        Context(Config(dict()), model=model, batch=dict(data_samples=[sample])), section
    )
    return findings(section, 'error')


@pytest.mark.parametrize('label, error', [(5, ''), (6, 'a box of label 6, the student has labels')])
def test_labels_beyond_the_classes_are_reported(scenes, label, error):
    sample = SegDataSample()
    sample.gt_instances = InstanceData(labels=torch.tensor([0, label]))
    found = checked(scenes, sample)
    assert error in found and bool(error) == bool(found)


@pytest.mark.parametrize('ignored, fault', [(None, '11'), (11, ''), (12, '11')])
def test_ignored_pixels_are_those_of_the_heads(scenes, ignored, fault):
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([[[0, 11, 5]]])))
    found = checked(scenes, sample, ignored)
    assert (f'a pixel of label {fault}' in found) if fault else not found
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.tensor([[[0, 255, 5]]])))
    assert bool(checked(scenes, sample, ignored)) == (ignored is not None)


def test_a_plain_model_is_reported_as_plain(scenes):
    context, section = run_section(models, scenes, run='student')
    assert 'nothing is distilled' in findings(section, 'note') and not context.distils
