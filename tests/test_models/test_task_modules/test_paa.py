"""PAA and LAD: weights after the reassignment, in the order of the predictions."""

import pytest
import torch

from tests.heads import record


@pytest.mark.parametrize('name', ['PAAHead', 'LADHead'])
def test_own_classification_loss(name):
    step = record(name)
    head, targets = step.model.bbox_head, step.targets
    objects = [sample.gt_instances for sample in step.data['data_samples']]
    labels = torch.full((len(step.predictions.cls),), head.num_classes)
    # Labels in the rows' order: each positive has the class of the object that it overlaps most.
    from mmdet.structures.bbox import bbox_overlaps

    image = torch.cat(
        [torch.arange(2).repeat_interleave(h * w) for h, w in step.predictions.levels]
    )
    for number, own in enumerate(objects):
        rows = (targets.positive & (image == number)).nonzero().squeeze(-1)
        best = bbox_overlaps(targets.priors[rows], own.bboxes).argmax(1)
        labels[rows] = own.labels[best]
    loss = head.loss_cls(
        step.predictions.cls, labels, targets.label_weights, avg_factor=targets.avg_factor
    )
    torch.testing.assert_close(loss, step.losses['loss_cls'], rtol=1e-3, atol=1e-4)


def test_reassignment_reduces_the_positives():
    step = record('PAAHead')
    left = sum(count for *_, count in step.records['paa_reassign'])
    assert step.targets.positive.sum() == left
    assert step.targets.avg_factor == max(2, left)


@pytest.mark.parametrize('name', ['PAAHead', 'LADHead'])
def test_images_without_objects(name):
    step = record(name, empty=(0, 1))
    assert step.targets.avg_factor == 2 and not step.targets.positive.any()
