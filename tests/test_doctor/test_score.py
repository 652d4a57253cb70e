"""The teacher's score compared with that of an untrained network."""

import pytest

from mmkd_sod.doctor.report import Section
from mmkd_sod.doctor.score import judge, primary_metric
from tests.doctor import findings


def judged(teacher, untrained) -> Section:
    section = Section('score', 'Score')
    judge(teacher, untrained, section)
    return section


@pytest.mark.parametrize(
    'metrics, wanted',
    [
        ({'coco/bbox_mAP_50': 0.7, 'coco/bbox_mAP': 0.5}, ('coco/bbox_mAP', 0.5)),
        ({'aAcc': 90.0, 'mIoU': 40.0}, ('mIoU', 0.4)),
        ({'sod/MAE': 0.1, 'sod/Smeasure': 0.8}, ('sod/Smeasure', 0.8)),
        ({'sod/MAE': 0.1}, None),
        ({'mIoU': float('nan')}, None),
        ({}, None),
    ],
)
def test_the_primary_metric(metrics, wanted):
    assert primary_metric(metrics) == wanted


@pytest.mark.parametrize(
    'teacher, untrained, level',
    [
        (0.5, 0.01, 'ok'),
        (0.08, 0.01, 'warning'),
        (0.01, 0.01, 'error'),
        (0.4, 0.42, 'error'),
        (0.48, 0.41, 'ok'),
    ],
)
def test_verdicts(teacher, untrained, level):
    section = judged({'sod/Smeasure': teacher}, {'sod/Smeasure': untrained})
    assert section.level == level
    if level == 'error':
        assert 'no better than a random one' in findings(section, 'error')


def test_networks_that_predict_nothing():
    assert 'predicts nothing' in findings(judged({}, {'coco/bbox_mAP': 0.0}), 'error')
    assert judged({'coco/bbox_mAP': 0.3}, {}).level == 'ok'
    assert judged({'coco/bbox_mAP': 0.0}, {}).level == 'error'


def test_unknown_metrics_are_not_judged():
    assert 'no known primary metric' in findings(judged({'x/y': 1.0}, {'x/y': 2.0}), 'note')


def test_coco_counts_the_scored_images_only(section):
    found = section('score').data
    assert found['images'] == 1 and set(found['metrics']) == {'teacher', 'untrained', 'student'}
    assert all(seconds > 0 for seconds in found['seconds_an_image'].values())
