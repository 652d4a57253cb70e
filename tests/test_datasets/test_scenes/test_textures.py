"""Colours of textures."""

import numpy as np
import pytest

from mmkd_sod.datasets.scenes.textures import TEXTURES, Texture, blend_weights, paint


@pytest.mark.parametrize('kind', TEXTURES)
def test_texture(kind):
    texture = Texture(kind, ((10, 20, 30), (200, 120, 230)), period=8.0, angle=0.4, seed=3)
    weight = blend_weights(texture, 21, 33)
    assert weight.shape == (21, 33) and weight.dtype == np.float32
    assert weight.min() >= 0 and weight.max() <= 1 and weight.std() > 0
    patch = paint(texture, 21, 33)
    assert patch.shape == (21, 33, 3)
    assert (patch >= (9.9, 19.9, 29.9)).all() and (patch <= (200.1, 120.1, 230.1)).all()
    np.testing.assert_array_equal(patch, paint(texture, 21, 33))
