"""Drawn images are written under names of any bytes."""

import os

import cv2
import numpy as np
import pytest
from mmengine.visualization import LocalVisBackend


def test_names_of_any_bytes(tmp_path):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 200  # red
    backend = LocalVisBackend(str(tmp_path / 'out'))
    name = os.fsdecode(b'a\xff')
    backend.add_image(name, image, step=3)
    backend.add_image('b', image)
    files = sorted((tmp_path / 'out' / 'vis_image').iterdir())
    assert [os.fsencode(path.name) for path in files] == [b'a\xff_3.png', b'b_0.png']
    found = cv2.imdecode(np.frombuffer(files[0].read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(found, image[..., ::-1])


def test_other_types_are_refused_as_by_mmengine(tmp_path):
    backend = LocalVisBackend(str(tmp_path / 'out'))
    with pytest.raises(AssertionError, match='image is int64; convert it to uint8'):
        backend.add_image('a', np.zeros((4, 5, 3), np.int64))
    assert not os.path.exists(tmp_path / 'out' / 'vis_image' / 'a_0.png')
