"""Images of any size in a grid."""

import cv2
import numpy as np
import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.visualization.grid import image_grid, save_image


def plain(height, width, value):
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_grid_without_titles():
    grid = image_grid([[plain(20, 30, 10), plain(20, 30, 20)], [plain(40, 30, 30)] * 2])
    assert grid.shape == (8 + 20 + 8 + 40 + 8, 8 + 30 + 8 + 30 + 8, 3)
    assert (grid[8:28, 8:38] == 10).all() and (grid[8:28, 46:76] == 20).all()
    assert (grid[36:76, 8:38] == 30).all()
    assert (grid[:8] == 255).all() and (grid[28:36] == 255).all()


def test_a_row_has_one_height():
    grid = image_grid([[plain(20, 30, 10), plain(40, 40, 20)]])
    assert grid.shape == (36, 8 + 30 + 8 + 20 + 8, 3)
    assert (grid[8:28, 46:66] == 20).all()


def test_titles_are_written():
    bare = image_grid([[plain(20, 90, 10)]])
    titled = image_grid([[plain(20, 90, 10)]], ['teacher'], ['0001.jpg'])
    room = titled.shape[0] - bare.shape[0]
    assert room > 30 and titled.shape[1] == bare.shape[1]
    assert titled[: 8 + room // 2].min() < 60 and titled[8 + room // 2 : 8 + room].min() < 120
    assert (titled[8 + room : 28 + room, 8:98] == 10).all()


def test_grey_images_fit_in():
    assert image_grid([[np.zeros((5, 5), np.uint8)]]).shape == (21, 21, 3)


def test_bad_grids_are_refused():
    one = plain(5, 5, 0)
    for rows in ([], [[]], [[one], [one, one]]):
        with pytest.raises(DataError, match='the same number in every row'):
            image_grid(rows)
    with pytest.raises(DataError, match='2 column titles for 1 columns'):
        image_grid([[one]], ['a', 'b'])
    with pytest.raises(DataError, match='0 row titles for 1 rows'):
        image_grid([[one]], None, [])


def test_save_image(tmp_path):
    image = plain(4, 4, 0)
    image[..., 0] = 255
    save_image(tmp_path / 'red.png', image)
    assert cv2.imread(str(tmp_path / 'red.png'))[0, 0].tolist() == [0, 0, 255]
    assert [path.name for path in tmp_path.iterdir()] == ['red.png']
