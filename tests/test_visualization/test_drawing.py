"""Positions of boxes and masks."""

import numpy as np
import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.visualization.drawing import draw_boxes, draw_mask, ink_on, to_rgb

GREY = np.full((40, 60, 3), 100, dtype=np.uint8)


def test_boxes_are_scaled():
    picture = draw_boxes(
        GREY, [[10, 20, 30, 35]], [1], ['a', 'b'], scale=4, palette=((255, 0, 0), (0, 0, 255))
    )
    assert picture.shape == (160, 240, 3) and picture.dtype == np.uint8
    blue = (picture == (0, 0, 255)).all(axis=2)
    y, x = np.nonzero(blue[82:, :])
    assert (x.min(), x.max()) == (40, 119) and y.max() + 82 == 139
    assert (picture[100, 60] == 100).all()
    assert (GREY == 100).all()


def test_scores_and_overlapping_names_do_not_fail():
    boxes = [[10, 10, 12, 12]] * 30
    picture = draw_boxes(GREY, boxes, [0] * 30, ['long name'], np.linspace(0, 1, 30))
    assert picture.shape == GREY.shape and (picture != GREY).any()


def test_no_boxes_keep_the_image():
    np.testing.assert_array_equal(draw_boxes(GREY, [], [], ['a'], []), GREY)
    np.testing.assert_array_equal(draw_boxes(GREY, np.zeros((0, 4)), [], ['a']), GREY)


@pytest.mark.parametrize('labels, scores', [([0, 0], None), ([0], [0.1, 0.2])])
def test_boxes_labels_and_scores_go_together(labels, scores):
    with pytest.raises(DataError, match='1 boxes'):
        draw_boxes(GREY, [[1, 1, 5, 5]], labels, ['a'], scores)


def test_mask():
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[:10], mask[10:20] = 2, 255
    picture = draw_mask(GREY, mask, palette=((1, 2, 3), (200, 0, 50)), opacity=0.5)
    assert picture[5, 5].tolist() == [150, 50, 75]
    assert picture[15, 5].tolist() == [114, 114, 114]
    assert picture[30, 5].tolist() == [100, 100, 100]
    with pytest.raises(DataError, match='resize the mask'):
        draw_mask(GREY, mask[:5])


def test_to_rgb():
    assert to_rgb(GREY[..., 0]).shape == to_rgb(GREY[..., :1]).shape == (40, 60, 3)
    assert to_rgb(GREY) is not GREY
    for wrong in (GREY / 255.0, GREY[..., :2], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(DataError, match='convert the image'):
            to_rgb(wrong)


def test_ink():
    assert ink_on((255, 255, 0)) == (0, 0, 0)
    assert ink_on((0, 0, 120)) == (255, 255, 255)
