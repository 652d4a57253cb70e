"""FreeAnchor and FSAF."""

import pytest
import torch

from mmkd_sod.models.losses import KDQualityFocalLoss
from tests.heads import record


@pytest.mark.parametrize('empty, objects', [((), 6), ((0,), 3), ((0, 1), 0)])
def test_freeanchor_counts_objects(empty, objects):
    step = record('FreeAnchorRetinaHead', empty=empty)
    assert step.targets.label_weights is None and step.targets.positive is None
    topk = step.model.bbox_head.pre_anchor_topk
    assert step.targets.avg_factor == max(1, objects * topk)


def test_fsaf_classification_loss_is_reproduced():
    step = record('FSAFHead')
    labels = torch.cat([level.reshape(-1) for level in step.records['get_targets'][0][0]])
    weights = step.targets.label_weights
    assert weights.shape == (len(labels), 3)
    loss = step.model.bbox_head.loss_cls(
        step.predictions.cls, labels, weights, reduction_override='none'
    ).sum()
    loss = loss / step.targets.avg_factor
    torch.testing.assert_close(loss, sum(step.losses['loss_cls']), rtol=1e-4, atol=1e-5)


def test_fsaf_ignores_levels_that_an_object_did_not_choose():
    step = record('FSAFHead')
    labels = torch.cat([level.reshape(-1) for level in step.records['get_targets'][0][0]])
    assigned, chosen = labels < 3, step.targets.positive
    assert (chosen & ~assigned).sum() == 0 and chosen.sum() < assigned.sum()
    dropped = assigned & ~chosen
    assert (step.targets.label_weights[dropped, labels[dropped]] == 0).all()
    assert step.targets.avg_factor == chosen.sum()


def test_fsaf_without_objects_divides_by_negatives():
    step = record('FSAFHead', empty=(0, 1))
    assert step.targets.avg_factor == len(step.predictions.cls)


def test_weights_of_single_classes_reach_the_loss():
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    weights = torch.zeros(4, 3)
    weights[:, 1] = 1
    found = KDQualityFocalLoss()(student, teacher, weight=weights, avg_factor=2.0)
    wanted = KDQualityFocalLoss()(student[:, 1:2], teacher[:, 1:2], avg_factor=2.0)
    torch.testing.assert_close(found, wanted)
