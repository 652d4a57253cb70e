"""Heads with anchors: weights and normalisers reproduce the head's classification loss."""

import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps

from tests.heads import record


@pytest.mark.parametrize('name', ['RetinaHead', 'RetinaSepBNHead', 'ATSSHead'])
def test_own_classification_loss(name):
    step = record(name)
    labels = next(
        part
        for part in step.records['get_targets'][0]
        if isinstance(part, list) and part[0].dtype == torch.long
    )
    own = step.model.bbox_head.loss_cls(
        step.predictions.cls,
        torch.cat([level.reshape(-1) for level in labels]),
        step.targets.label_weights,
        avg_factor=step.targets.avg_factor,
    )
    torch.testing.assert_close(own, sum(step.losses['loss_cls']), rtol=1e-4, atol=1e-5)


def test_ddod_uses_the_assignment_of_each_branch():
    step = record('DDODHead')
    *_, cls_count = step.records['get_cls_targets'][0]
    _, reg_labels, *_, reg_count = step.records['get_reg_targets'][0]
    assert step.targets.avg_factor == cls_count and step.targets.box_avg_factor == reg_count
    assert step.targets.positive.sum() == sum((level < 3).sum() for level in reg_labels)


def test_ddod_without_objects_divides_by_images():
    step = record('DDODHead', empty=(0, 1))  # mmdet counts one for an image without positives
    assert step.targets.avg_factor == step.targets.box_avg_factor == 2


def test_positives_of_retinanet_overlap_their_objects():
    step = record('RetinaHead')
    rows = step.targets.priors[step.targets.positive]
    boxes = torch.cat([sample.gt_instances.bboxes for sample in step.data['data_samples']])
    # The assigner also takes the best anchor of an object below the threshold.
    assert (bbox_overlaps(rows, boxes).amax(1) > 0.2).all()
