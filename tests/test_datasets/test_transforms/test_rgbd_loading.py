"""Loading depth, and alignment of image, depth and mask under mmcv's transforms."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from PIL import Image

from mmkd_sod.errors import DataError
from mmkd_sod.registry import TRANSFORMS

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def sample(tmp_path):
    """Return image, depth and mask whose values encode the position."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), np.dstack([x * 4, y * 6, x * 0]))
    cv2.imwrite(str(tmp_path / 'depth.png'), x * 4)
    cv2.imwrite(str(tmp_path / 'mask.png'), (y * 6 > 120).astype(np.uint8) * 255)
    return {
        f'{key}_path': str(tmp_path / f'{name}.png')
        for key, name in (('img', 'image'), ('depth', 'depth'), ('seg_map', 'mask'))
    }


def pipeline(*transforms, depth=()):
    return Compose(
        [
            TRANSFORMS.build(dict(cfg))
            for cfg in (
                dict(type='mmkd_sod.LoadSODImage'),
                dict(type='mmkd_sod.LoadDepth', **dict(depth)),
                dict(type='mmkd_sod.LoadSODMask'),
                *transforms,
                dict(type='mmkd_sod.PackRGBDInputs'),
            )
        ]
    )


@pytest.mark.parametrize(
    'transforms',
    [
        (),
        (dict(type='mmseg.Resize', scale=(30, 20)),),
        (dict(type='mmseg.RandomFlip', prob=1.0, direction='horizontal'),),
        (dict(type='mmseg.RandomFlip', prob=1.0, direction='vertical'),),
        (dict(type='mmseg.RandomCrop', crop_size=(17, 23)),),
        (dict(type='mmkd_sod.RandomEdgeCrop'),),
        (dict(type='mmseg.RandomRotate', prob=1.0, degree=30, pad_val=0),),
        (
            dict(type='mmseg.Resize', scale=(90, 70)),
            dict(type='mmseg.RandomFlip', prob=1.0, direction='diagonal'),
            dict(type='mmseg.RandomCrop', crop_size=(50, 50)),
        ),
    ],
)
def test_all_three_stay_aligned(sample, transforms):
    packed = pipeline(*transforms)(dict(sample))
    img, depth = packed['inputs']['img'].float(), packed['inputs']['depth'][0] * 255
    mask = packed['data_samples'].gt_sem_seg.data[0]
    assert img.shape[1:] == depth.shape == mask.shape and depth.dtype == torch.float32
    assert depth.min() >= 0 and depth.max() <= 255
    # Two pixels from the border and from filled areas, where the image is interpolated and the
    # maps are not.
    filled = torch.nn.functional.pad(((mask == 255) | (img.sum(0) == 0)).float(), [2] * 4, value=1)
    known = torch.nn.functional.max_pool2d(filled[None], 5, 1)[0] == 0
    assert known.float().mean() > 0.4
    assert (img[0] - depth)[known].abs().max() <= 16
    wrong = ((img[1] > 120) != (mask == 1)) & known & ((img[1] - 120).abs() > 16)
    assert not wrong.any()


def test_depth_filled_in_by_a_rotation_is_far(sample):
    packed = pipeline(dict(type='mmseg.RandomRotate', prob=1.0, degree=(45, 45)))(dict(sample))
    assert (packed['data_samples'].gt_sem_seg.data[0, 0, 0] == 255).all()
    assert packed['inputs']['depth'][0, 0, 0] == 0


def test_packed_meta_data(sample):
    packed = pipeline()(dict(sample, group='cup', img_name='cup/1', dataset_name='set'))
    assert packed['inputs']['img'].dtype == torch.uint8
    assert packed['inputs']['depth'].shape == (1, HEIGHT, WIDTH)
    meta = packed['data_samples'].metainfo
    assert (meta['group'], meta['img_name'], meta['depth_path']) == (
        'cup',
        'cup/1',
        sample['depth_path'],
    )


def test_stretched_and_inverted(sample):
    Image.fromarray(
        np.linspace(50, 100, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
    ).save(sample['depth_path'])
    depth = pipeline(depth=dict(stretch=True, invert=True))(dict(sample))['inputs']['depth']
    assert depth.min() == 0 and depth.max() == 1 and depth[0, 0, 0] == 1
    Image.fromarray(np.full((HEIGHT, WIDTH), 7, np.uint8)).save(sample['depth_path'])
    flat = pipeline(depth=dict(stretch=True))(dict(sample))['inputs']['depth']
    assert (flat == 0).all()


def test_another_size_is_fitted_or_refused(sample):
    Image.fromarray(np.full((HEIGHT // 2, WIDTH // 2), 255, np.uint8)).save(sample['depth_path'])
    assert pipeline()(dict(sample))['inputs']['depth'].shape == (1, HEIGHT, WIDTH)
    Image.fromarray(np.zeros((HEIGHT, HEIGHT), np.uint8)).save(sample['depth_path'])
    with pytest.raises(DataError, match=r"depth map '.*depth\.png' is 40 x 40, its image 60 x 40"):
        pipeline()(dict(sample))
