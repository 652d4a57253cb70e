"""Placement of objects."""

import numpy as np
import pytest

from mmkd_sod.datasets.scenes.layout import OBJECT_DEPTH, random_layout
from mmkd_sod.datasets.scenes.shapes import SHAPES


@pytest.mark.parametrize('seed', range(5))
def test_random_layout(seed):
    layout = random_layout(np.random.default_rng(seed), 200, 120)
    assert 2 <= len(layout.objects) <= 6
    depths = [item.depth for item in layout.objects]
    assert depths == sorted(depths)
    for item in layout.objects:
        assert item.shape in SHAPES
        assert 0 < item.center[0] < 200 and 0 < item.center[1] < 120
        assert OBJECT_DEPTH[0] < item.depth < OBJECT_DEPTH[1]


def test_depths_differ():
    for seed in range(20):
        layout = random_layout(np.random.default_rng(seed), 160, 160, shapes=['star'] * 6)
        gaps = np.diff([item.depth for item in layout.objects])
        # Slant (0.01) and noise (0.024 on either side) fit in between.
        assert gaps.min() > 0.058


def test_given_shapes_are_placed():
    for seed in range(4):
        shapes = ['disk', 'square', 'star']
        layout = random_layout(np.random.default_rng(seed), 160, 160, shapes=shapes)
        assert [item.shape for item in layout.objects] == shapes


def test_same_seed_same_layout():
    first, second = (random_layout(np.random.default_rng(7), 160, 160) for _ in range(2))
    assert first == second
    assert first != random_layout(np.random.default_rng(8), 160, 160)
