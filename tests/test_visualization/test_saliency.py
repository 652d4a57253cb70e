"""Overlays, cut-outs and panels of saliency maps."""

import cv2
import numpy as np
import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.visualization import cut_out, saliency_overlay, saliency_panel

IMAGE = np.full((10, 20, 3), 100, np.uint8)
SALIENCY = np.tile(np.linspace(0, 1, 20, dtype=np.float32), (10, 1))


def test_overlay_tints_by_the_map():
    out = saliency_overlay(IMAGE, SALIENCY, colour=(200, 100, 0), strength=0.5)
    assert out.dtype == np.uint8 and out.shape == IMAGE.shape
    assert out[0, 0].tolist() == [100, 100, 100] and out[0, -1].tolist() == [150, 100, 50]


def test_cut_out_has_the_map_as_alpha():
    out = cut_out(IMAGE, SALIENCY)
    assert out.shape == (10, 20, 4) and out[0, 0, 3] == 0 and out[0, -1, 3] == 255
    np.testing.assert_array_equal(out[..., :3], IMAGE)


def test_panel(tmp_path):
    columns = dict(truth=[SALIENCY, SALIENCY], student=[1 - SALIENCY, SALIENCY])
    panel = saliency_panel([IMAGE, IMAGE], columns, tmp_path / 'p.png', side=20)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'p.png'))[..., ::-1], panel)
    assert panel.shape[1] > 3 * 40 and panel.shape[0] > 2 * 20
    with pytest.raises(DataError, match="the maps of column 'truth' differ"):
        saliency_panel([IMAGE], dict(truth=[SALIENCY[:5]]))
