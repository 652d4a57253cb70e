import sys

import pytest
from mmdet.evaluation import CocoMetric
from mmengine.evaluator import BaseMetric

from mmkd_sod.compat.metric_rounding import unrounded


class _Own(BaseMetric):
    def process(self, data_batch, data_samples):
        pass

    def compute_metrics(self, results):
        return {}


def test_mmdets_metrics_do_not_round():
    metric = CocoMetric(metric='bbox')
    module = sys.modules[CocoMetric.__module__]
    with unrounded(metric):
        assert module.round(1.23456789, 3) == 1.23456789
    assert 'round' not in vars(module)


def test_rounding_is_back_after_an_error():
    with pytest.raises(ZeroDivisionError), unrounded(CocoMetric(metric='bbox')):
        raise ZeroDivisionError
    assert 'round' not in vars(sys.modules[CocoMetric.__module__])


def test_other_metrics_are_left_alone():
    with unrounded(_Own()):
        assert 'round' not in vars(sys.modules[__name__])
