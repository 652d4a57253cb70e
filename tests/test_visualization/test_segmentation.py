"""Label maps in colours, and panels of them."""

import cv2
import numpy as np
import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.visualization import paint_labels, segmentation_panel

PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 250)]
CLASSES = ('road', 'tree', 'sky')


def test_every_label_has_its_colour_and_the_ignored_is_black():
    labels = np.array([[0, 1], [2, 255]])
    wanted = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 250), (0, 0, 0)]]
    assert (paint_labels(labels, PALETTE) == wanted).all()


@pytest.mark.parametrize('label', [3, -1])
def test_label_without_colour(label):
    with pytest.raises(DataError, match=f'label {label} has no colour in a palette of 3'):
        paint_labels(np.array([[0, label]]), PALETTE)


def test_panel_holds_rows_columns_and_a_legend(tmp_path):
    images = [np.full((20, 30, 3), 90, np.uint8), np.full((20, 40, 3), 120, np.uint8)]
    truth = [np.zeros((20, 30), int), np.full((20, 40), 1)]
    student = [np.full((20, 30), 2), np.full((20, 40), 255)]
    panel = segmentation_panel(
        images,
        dict(truth=truth, student=student),
        CLASSES,
        PALETTE,
        tmp_path / 'panel.png',
        side=100,
    )
    assert (cv2.imread(str(tmp_path / 'panel.png'))[..., ::-1] == panel).all()
    found = {tuple(colour) for colour in panel.reshape(-1, 3)}
    assert {*PALETTE, (90, 90, 90), (120, 120, 120), (0, 0, 0)} <= found
    assert panel.shape[1] > 3 * 200 and panel.shape[0] > 2 * 100


def test_maps_must_match_the_images():
    with pytest.raises(DataError, match="the maps of column 'truth' differ"):
        segmentation_panel(
            [np.zeros((4, 4, 3), np.uint8)], dict(truth=[np.zeros((4, 5), int)]), CLASSES, PALETTE
        )
