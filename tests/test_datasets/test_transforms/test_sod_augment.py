"""The augmentations of KD-SCFNet: bounds, rates, and alignment of the maps."""

import numpy as np
import pytest
from mmengine.config import Config

from mmkd_sod.datasets.transforms import RandomBlur, RandomContrastBrightness, RandomEdgeCrop
from mmkd_sod.registry import TRANSFORMS


def ramp(height, width):
    """Return an image and maps whose values are their coordinates."""
    y, x = np.mgrid[:height, :width]
    return dict(
        img=np.dstack([y, x, x * 0]).astype(np.uint8),
        gt_seg_map=y.astype(np.uint8),
        weak_label=x.astype(np.float32),
        seg_fields=['gt_seg_map', 'weak_label'],
    )


def test_crop_moves_all_maps_and_stays_in_bounds():
    np.random.seed(0)
    crop, seen = RandomEdgeCrop(1 / 8), []
    for _ in range(200):
        out = crop(ramp(80, 40))
        img = out['img']
        assert out['img_shape'] == img.shape[:2] == out['gt_seg_map'].shape
        np.testing.assert_array_equal(img[..., 0], out['gt_seg_map'])
        np.testing.assert_array_equal(img[..., 1], out['weak_label'])
        top, left = img[0, 0, :2]
        seen.append((top, 79 - img[-1, 0, 0], left, 39 - img[0, -1, 1]))
    assert np.array(seen).min(0).tolist() == [0, 0, 0, 0]
    assert np.array(seen).max(0).tolist() == [10, 10, 5, 5]


def test_crop_keeps_tiny_images():
    assert RandomEdgeCrop()(ramp(1, 1))['img'].shape == (1, 1, 3)


def test_contrast_and_brightness():
    np.random.seed(0)
    img = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 1, 3))
    for _ in range(50):
        out = RandomContrastBrightness()(dict(img=img.copy()))['img'].astype(float)
        assert out.dtype == float and -16 <= out[0, 0, 0] <= 16
        assert 0.5 * 100 - 16 <= out[100, 0, 0] <= 1.5 * 100 + 16
        assert (np.diff(out[:, 0, 0]) >= 0).all()
    still = RandomContrastBrightness(contrast=(1, 1), brightness=0)(dict(img=img.copy()))['img']
    np.testing.assert_array_equal(still, img)
    assert still.dtype == np.uint8


def test_blur_rate_and_effect():
    np.random.seed(0)
    img = np.random.randint(0, 256, (32, 32, 3), dtype=np.uint8)
    changed = sum(not np.array_equal(RandomBlur()(dict(img=img))['img'], img) for _ in range(2000))
    assert changed == pytest.approx(200, abs=45)
    assert RandomBlur(prob=1.0)(dict(img=img))['img'].std() < img.std()


def test_the_recipe_flips_every_map_at_the_papers_rates(root):
    cfg = Config.fromfile(root / 'configs/_base_/datasets/sod_sets.py').train_pipeline
    flip = TRANSFORMS.build(next(t for t in cfg if t['type'] == 'mmseg.RandomFlip'))
    np.random.seed(0)
    left_right = up_down = 0
    for _ in range(2000):
        out = flip(ramp(4, 6))
        np.testing.assert_array_equal(out['img'][..., 0], out['gt_seg_map'])
        np.testing.assert_array_equal(out['img'][..., 1], out['weak_label'])
        up_down += out['img'][0, 0, 0] > 0
        left_right += out['img'][0, 0, 1] > 0
    assert left_right == pytest.approx(1000, abs=100) and up_down == pytest.approx(400, abs=80)
