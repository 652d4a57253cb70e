"""Panels of detections."""

import cv2
import numpy as np
import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.visualization.panels import detection_panel

IMAGES = [np.full((40, 60, 3), 100, dtype=np.uint8), np.full((60, 60, 3), 50, dtype=np.uint8)]
TRUTH = [dict(bboxes=[[5, 5, 30, 30]], labels=[0]), dict(bboxes=[], labels=[])]


def test_panel(tmp_path):
    found = [
        dict(bboxes=[[5, 5, 30, 30], [30, 5, 50, 30]], labels=[0, 1], scores=[0.9, 0.1]),
        dict(bboxes=np.zeros((0, 4)), labels=[], scores=[]),
    ]
    path = tmp_path / 'panel.png'
    columns = {'ground truth': TRUTH, 'student': found}
    panel = detection_panel(
        IMAGES, columns, ['cat', 'dog'], path, side=120, palette=((255, 0, 0), (0, 0, 255))
    )
    assert panel.shape[1] == 8 + 2 * (120 + 8)
    # The score of the second detection is too low, so there is no blue.
    assert (panel == (255, 0, 0)).all(axis=2).sum() > 200
    assert not (panel == (0, 0, 255)).all(axis=2).any()
    lower = detection_panel(
        IMAGES,
        columns,
        ['cat', 'dog'],
        score_thr=0.05,
        side=120,
        palette=((255, 0, 0), (0, 0, 255)),
    )
    assert (lower == (0, 0, 255)).all(axis=2).any()
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], panel)


def test_large_images_keep_their_size():
    panel = detection_panel(IMAGES, dict(truth=TRUTH), ['cat'], side=20)
    assert panel.shape[1] == 8 + 60 + 8


def test_a_column_needs_boxes_for_every_image():
    with pytest.raises(DataError, match="column 'truth' has boxes for 1 images; give .* all 2"):
        detection_panel(IMAGES, dict(truth=TRUTH[:1]), ['cat'])
    wrong = [dict(bboxes=[[1, 1, 2, 2]], labels=[0], scores=[])] * 2
    with pytest.raises(DataError, match='1 boxes and 0 scores'):
        detection_panel(IMAGES, dict(student=wrong), ['cat'])
