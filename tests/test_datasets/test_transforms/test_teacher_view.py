"""TeacherView: teacher and student see the same region of an image."""

import numpy as np
import pytest
import torch

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import TRANSFORMS
from tests.sod_data import disc

PACK = dict(type='mmkd_sod.PackSODInputs')


def view(*transforms, **settings):
    return TRANSFORMS.build(
        dict(type='mmkd_sod.TeacherView', transforms=[*transforms, PACK], **settings)
    )


def results(height=32, width=48, depth=False):
    image, mask = disc(height, width)
    found = dict(
        img=image,
        img_shape=(height, width),
        ori_shape=(height, width),
        img_path='a.png',
        gt_seg_map=(mask > 0).astype(np.uint8),
        seg_fields=['gt_seg_map'],
    )
    if depth:
        found['depth_map'] = np.full((height, width), 255, np.float32)
        found['depth_map'][:, :4] = 0.5
        found['seg_fields'].append('depth_map')
    return found


def test_only_the_students_image_is_resized():
    data = results()
    image = data['img'].copy()
    packed = view(dict(type='mmseg.Resize', scale_factor=0.5))(data)
    kept = packed['data_samples'].teacher_view
    assert list(kept) == ['img'] and kept['img'].dtype == torch.uint8
    assert np.array_equal(kept['img'].permute(1, 2, 0).numpy(), image)
    assert packed['inputs'].shape == (3, 16, 24)
    assert packed['data_samples'].gt_sem_seg.shape == (16, 24)
    # The disc is at the same relative position in both.
    bright = (kept['img'].float().mean(0) > 130).nonzero().float().mean(0) / 2
    small = (packed['inputs'].float().mean(0) > 130).nonzero().float().mean(0)
    assert (bright - small).abs().max() < 1


def test_transforms_in_place_do_not_change_the_view():
    class Darken:
        def __call__(self, data):
            data['img'][:] = 0
            return data

    transform = view()
    transform.transforms.transforms.insert(0, Darken())
    packed = transform(results())
    assert not packed['inputs'].any() and packed['data_samples'].teacher_view['img'].any()


def test_depth_and_name():
    packed = view(keys=('img', 'depth_map'), name='rgbd')(results(depth=True))
    kept = packed['data_samples'].rgbd
    assert kept['depth'].shape == (1, 32, 48)
    assert kept['depth'][0, 0].tolist() == [0.5] * 4 + [0.0] * 44  # 255 is padding
    assert packed['inputs'].shape == (3, 32, 48)


def test_moves_to_another_device_with_its_sample():
    sample = view()(results())['data_samples']
    assert torch.equal(sample.to('cpu').teacher_view['img'], sample.teacher_view['img'])


@pytest.mark.parametrize(
    'inner',
    [
        dict(type='mmseg.RandomFlip', prob=0.5),
        dict(type='mmseg.RandomCrop', crop_size=(8, 8)),
        dict(type='mmkd_sod.RandomEdgeCrop'),
        dict(type='mmseg.RandomRotate', prob=1.0, degree=10),
        dict(type='RandomApply', transforms=[dict(type='mmseg.RandomFlip', prob=0.5)]),
    ],
)
def test_refuses_transforms_of_the_student_alone(inner):
    with pytest.raises(ConfigError, match='put it before TeacherView'):
        view(inner)


def test_refuses_wrong_arguments():
    with pytest.raises(ConfigError, match='set keys'):
        view(keys=('depth_map',))
    with pytest.raises(ConfigError, match='set keys'):
        view(keys=('img', 'mask'))
    with pytest.raises(DataError, match="'a.png' has no 'depth_map'"):
        view(keys=('img', 'depth_map'))(results())
    unpacked = TRANSFORMS.build(
        dict(type='mmkd_sod.TeacherView', transforms=[dict(type='mmseg.Resize', scale_factor=0.5)])
    )
    with pytest.raises(ConfigError, match='does not pack'):
        unpacked(results())
