"""Scores get names, directions, means and gains."""

import math

import pytest

from mmkd_sod.report.metrics import describe, gains, headline, mean, std, with_std


@pytest.mark.parametrize(
    'key, name, shown, less, group, member',
    [
        ('coco/bbox_mAP', 'AP', '53.5', False, None, None),
        ('coco/bbox_mAP_50', 'AP50', '53.5', False, None, None),
        ('coco/segm_mAP_s', 'segm AP small', '53.5', False, 'object size', 'small'),
        ('coco/RBC_precision', 'AP', '53.5', False, 'class', 'RBC'),
        ('mIoU', 'mIoU', '0.54', False, None, None),
        ('IoU/class/Sky', 'IoU', '0.54', False, 'class', 'Sky'),
        ('sod/MAE', 'MAE', '0.5350', True, None, None),
        ('sod/ECSSD/maxFm', 'max F', '0.5350', False, 'data set', 'ECSSD'),
        ('pascal_voc/AP50', 'AP50', '53.5', False, None, None),
        ('my/error', 'my/error', '0.5350', True, None, None),
    ],
)
def test_describe(key, name, shown, less, group, member):
    metric = describe(key)
    assert (metric.name, metric.show(0.535)) == (name, shown)
    assert (metric.less_is_better, metric.group, metric.member) == (less, group, member)


def test_signs_and_no_numbers():
    metric = describe('coco/bbox_mAP')
    assert metric.show(0.012, sign=True) == '+1.2' and metric.show(-0.012) == '−1.2'
    assert metric.show(0.0001, sign=True) == '0.0' and metric.show(math.nan) == '–'
    assert metric.better(0.1) and describe('sod/MAE').better(-0.1)


def test_headline_follows_save_best_then_custom():
    keys = ['coco/bbox_mAP_50', 'coco/bbox_mAP', 'coco/RBC_precision']
    assert headline(keys) == 'coco/bbox_mAP'
    assert headline(keys, 'coco/bbox_mAP_50') == 'coco/bbox_mAP_50'
    assert headline(['z', 'a']) == 'z' and headline([]) is None


def test_mean_and_sample_deviation():
    assert mean([1.0, 3.0]) == 2.0 and std([1.0, 3.0]) == pytest.approx(2**0.5)
    assert std([1.0]) is None and math.isnan(mean([]))
    assert with_std(describe('mIoU'), [1.0, 3.0]) == '2.00 ± 1.41'


def test_gains_pair_by_seed_where_they_can():
    assert gains({0: [2.0], 1: [5.0]}, {1: [4.0], 0: [1.0], 7: [9.0]}) == ([1.0, 1.0], True)
    assert gains({0: [2.0]}, {1: [4.0], 2: [2.0]}) == ([-1.0], False)
    assert gains({None: [2.0]}, {None: [1.0]}) == ([1.0], False)
    assert gains({}, {0: [1.0]}) == ([], False)
