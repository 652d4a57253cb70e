"""Outlines of the shapes."""

import math

import numpy as np
import pytest

from mmkd_sod.datasets.scenes.shapes import SHAPES, draw_mask


def draw(shape, **kwargs):
    options = dict(center=(50.5, 50.5), radius=30, aspect=1.0, angle=0.0, width=101, height=101)
    return draw_mask(shape, **{**options, **kwargs})


@pytest.mark.parametrize('shape', SHAPES)
def test_mask_is_not_empty_and_inside_its_radius(shape):
    mask = draw(shape)
    assert mask.dtype == np.uint8 and mask.shape == (101, 101)
    y, x = np.nonzero(mask >= 128)
    assert len(x) > 0.25 * math.pi * 30**2
    assert np.hypot(x - 50.5, y - 50.5).max() < 30 * 1.3


def test_shapes_differ():
    masks = [draw(shape).tobytes() for shape in SHAPES]
    assert len(set(masks)) == len(SHAPES)


def test_disk_has_the_area_of_a_circle_at_any_aspect():
    for aspect in (0.5, 1, 2):
        area = np.count_nonzero(draw('disk', aspect=aspect) >= 128)
        # OpenCV's fill includes the outline, so a shape may grow by up to a pixel.
        assert math.pi * 30**2 <= area <= math.pi * 31**2


def test_ring_has_a_hole():
    assert draw('ring')[50, 50] == 0
    assert draw('disk')[50, 50] == 255


def test_off_canvas_is_empty():
    assert draw('star', center=(-200, -200)).max() == 0
