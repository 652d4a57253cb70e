"""Boxes, class masks and saliency are drawn over their image."""

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mmkd_sod.errors import DataError
from mmkd_sod.visualization.predictions import draw_prediction, fit_map, prediction_of, truth_of

IMAGE = np.full((20, 30, 3), 100, np.uint8)


def sample(**fields):
    return BaseDataElement(**fields)


def test_prediction_of_each_task():
    boxes = InstanceData(
        bboxes=torch.ones(2, 4), labels=torch.tensor([0, 1]), scores=torch.tensor([0.9, 0.1])
    )
    assert prediction_of(sample(pred_instances=boxes))['bboxes'].shape == (2, 4)
    one, two = (PixelData(data=torch.rand(n, 20, 30)) for n in (1, 2))
    classes = PixelData(data=torch.ones(1, 20, 30, dtype=torch.int64))
    found = prediction_of(sample(seg_logits=one, pred_sem_seg=classes))
    assert np.allclose(found['saliency'], one.data[0])
    assert prediction_of(sample(seg_logits=two, pred_sem_seg=classes))['classes'].sum() == 600
    with pytest.raises(DataError, match='neither boxes nor a map'):
        prediction_of(sample())


def test_truth_of_each_task():
    info = dict(
        instances=[
            dict(bbox=[1, 2, 3, 4], bbox_label=1, ignore_flag=0),
            dict(bbox=[0, 0, 9, 9], bbox_label=0, ignore_flag=1),
        ]
    )
    truth = truth_of(info, sample())
    assert truth['bboxes'].tolist() == [[1, 2, 3, 4]] and truth['labels'] == [1]
    assert truth_of(dict(instances=[]), sample())['bboxes'].shape == (0, 4)
    mask = sample(gt_sem_seg=PixelData(data=torch.tensor([[[0, 1, 255]]])))
    assert truth_of({}, mask)['classes'].tolist() == [[0, 1, 255]]
    assert truth_of({}, mask, binary=True)['saliency'].tolist() == [[0, 1, 0]]
    mask.gt_sem_seg = PixelData(sem_seg=mask.gt_sem_seg.data)  # as mmdet names it
    assert truth_of({}, mask)['classes'].tolist() == [[0, 1, 255]]
    assert truth_of({}, sample()) is None


def test_masks_are_resized_to_the_image():
    small = dict(classes=np.array([[0, 5]], np.int64))
    assert set(np.unique(fit_map(small, (20, 30, 3))['classes'])) == {0, 5}
    assert fit_map(dict(saliency=np.ones((2, 2))), (20, 30))['saliency'].shape == (20, 30)


def test_boxes_below_the_threshold_are_not_drawn():
    prediction = dict(bboxes=[[5, 5, 20, 15]], labels=[2], scores=[0.2])
    assert (draw_prediction(IMAGE, prediction, ('a',), score_thr=0.3) == IMAGE).all()
    drawn = draw_prediction(
        IMAGE, prediction, ('a',), score_thr=0.1, side=60
    )  # no name for class 2
    assert drawn.shape == (40, 60, 3) and (drawn != 100).any()


def test_every_class_is_coloured_and_the_ignored_grey():
    mask = np.zeros((20, 30), np.uint8)
    mask[:10], mask[10:15] = 255, 1
    drawn = draw_prediction(IMAGE, dict(classes=mask), palette=[(255, 0, 0), (0, 255, 0)])
    assert drawn[19, 0, 0] > drawn[19, 0, 1] and drawn[12, 0, 1] > drawn[12, 0, 0]
    assert len(set(drawn[0, 0].tolist())) == 1


def test_saliency_tints():
    drawn = draw_prediction(IMAGE, dict(saliency=np.eye(20, 30)), side=90)
    assert drawn.shape == (60, 90, 3) and drawn[1, 1, 0] > 120
