"""RepPoints: boxes of the refined points, targets of the refining stage."""

import torch

from tests.heads import record


def test_weights_are_those_of_the_refining_stage():
    step = record('RepPointsHead')
    first, second = step.records['get_targets']
    labels, *_, avg_factor = second
    assert step.targets.avg_factor == max(1, avg_factor)
    loss = step.model.bbox_head.loss_cls(
        step.predictions.cls,
        torch.cat([level.reshape(-1) for level in labels]),
        step.targets.label_weights,
        avg_factor=step.targets.avg_factor,
    )
    torch.testing.assert_close(loss, sum(step.losses['loss_cls']), rtol=1e-4, atol=1e-5)
    assert len(first) == len(second)


def test_boxes_are_around_their_points():
    step = record('RepPointsHead')
    boxes = step.reader.boxes(step.predictions.reg, step.targets)
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    away = (boxes[:, :2] + boxes[:, 2:]) / 2 - step.targets.priors[:, :2]
    relative = (step.predictions.reg[:, :2] + step.predictions.reg[:, 2:]) / 2
    torch.testing.assert_close(away, relative * step.targets.priors[:, 2:], rtol=1e-3, atol=1e-2)
