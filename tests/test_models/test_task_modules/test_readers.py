"""Targets and boxes of each reader, compared with the head's training."""

import pytest
import torch
from mmdet.models.utils import unpack_gt_instances

from mmkd_sod.models.distillers import MethodRecorder
from mmkd_sod.models.recorders import recording
from mmkd_sod.models.task_modules import find_reader
from tests.detection import HEADS, batch, build_distill


def record(name):
    """Return the reader, its flat predictions and its targets after one forward with losses."""
    model = build_distill(name).student
    data = model.data_preprocessor(batch(), training=True)
    reader = find_reader(model.bbox_head, 'student')
    recorders = {key: MethodRecorder(*source) for key, source in reader.target_sources().items()}
    with recording(recorders) as records, MethodRecorder(model.bbox_head, 'forward') as outputs:
        losses = model(**data, mode='loss')
    predictions = reader.flatten(outputs[0])
    targets = reader.targets(records, predictions)
    return model.bbox_head, reader, predictions, targets, losses, data


@pytest.mark.parametrize('name', sorted(HEADS))
def test_rows_agree(name):
    head, reader, predictions, targets, _, data = record(name)
    rows = len(predictions.cls)
    assert predictions.reg.shape == (rows, reader.reg_channels)
    assert targets.positive.shape == (rows,) and targets.positive.any()
    assert len(targets.priors) == rows
    # Positive rows are on objects: the prior's centre is in a box of the same image.
    boxes, _, _ = unpack_gt_instances(data['data_samples'])
    levels = [h * w * head.num_base_priors for h, w in predictions.levels]
    image = torch.cat([torch.arange(2).repeat_interleave(n) for n in levels])
    priors = targets.priors
    centre = priors if priors.shape[1] == 2 else (priors[:, :2] + priors[:, 2:]) / 2
    for row in targets.positive.nonzero().squeeze(-1):
        own = boxes[image[row]].bboxes
        low, high = own[:, :2] - 40, own[:, 2:] + 40
        assert ((centre[row] >= low) & (centre[row] <= high)).all(1).any()


@pytest.mark.parametrize('name', ['retinanet', 'atss', 'fcos'])
def test_regressing_nothing_gives_the_prior(name):
    _, reader, predictions, targets, _, _ = record(name)
    boxes = reader.boxes(torch.zeros_like(predictions.reg), targets)
    wanted = targets.priors.repeat(1, 2) if name == 'fcos' else targets.priors
    torch.testing.assert_close(boxes, wanted, rtol=0, atol=1e-3)


@pytest.mark.parametrize('name', ['atss', 'retinanet'])
def test_normaliser_reproduces_the_heads_classification_loss(name):
    head, _, predictions, targets, losses, _ = record(name)
    labels = torch.full((len(predictions.cls),), head.num_classes)
    # If every label is background, the loss is that of the negatives with the same normaliser.
    negatives = ~targets.positive
    found = head.loss_cls(
        predictions.cls[negatives],
        labels[negatives],
        targets.label_weights[negatives],
        avg_factor=targets.avg_factor,
    )
    total = sum(loss.item() for loss in losses['loss_cls'])
    assert 0 < found.item() < total
