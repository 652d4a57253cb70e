"""YOLOX and YOLOF."""

import pytest
import torch

from mmkd_sod.models.task_modules import find_reader
from tests.heads import built, record


@pytest.mark.parametrize('empty', [(), (0, 1)])
def test_yolox_divides_by_its_positives(empty):
    step = record('YOLOXHead', empty=empty)
    count = sum(image[-1] for image in step.records['_get_targets_single'])
    assert step.targets.positive.sum() == count
    assert step.targets.avg_factor == max(1, count)


def test_yolof_depth_is_that_of_its_class_tower():
    reader = find_reader(built('YOLOFHead').bbox_head, 'student')
    assert reader.depth == 2 and len(built('YOLOFHead').bbox_head.bbox_subnet) == 4


def test_yolof_classification_loss_is_reproduced():
    step = record('YOLOFHead')
    labels = step.records['get_targets'][0][0].reshape(-1)
    loss = step.model.bbox_head.loss_cls(
        step.predictions.cls, labels, step.targets.label_weights, avg_factor=step.targets.avg_factor
    )
    torch.testing.assert_close(loss, step.losses['loss_cls'], rtol=1e-4, atol=1e-5)
