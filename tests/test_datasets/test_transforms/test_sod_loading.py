"""Loading and packing of saliency samples, and errors of malformed ones."""

import cv2
import numpy as np
import pytest
import torch

from mmkd_sod.datasets import SODDataset
from mmkd_sod.errors import DataError
from mmkd_sod.registry import TRANSFORMS
from tests.sod_data import disc, write_set

PIPELINE = [
    dict(type='mmkd_sod.LoadSODImage'),
    dict(type='mmkd_sod.LoadSODMask'),
    dict(type='mmkd_sod.PackSODInputs'),
]


def test_sample(tmp_path):
    dataset = SODDataset(data_root=str(write_set(tmp_path / 's')), pipeline=PIPELINE)
    sample, (image, mask) = dataset[0], disc(40, 60, 0)
    np.testing.assert_array_equal(sample['inputs'].numpy().transpose(1, 2, 0), image)
    label = sample['data_samples'].gt_sem_seg.data
    assert label.dtype == torch.int64 and label.shape == (1, 40, 60)
    np.testing.assert_array_equal(label[0].numpy(), mask > 0)
    meta = sample['data_samples'].metainfo
    assert meta['img_name'] == '0' and meta['dataset_name'] == 's'
    assert meta['ori_shape'] == meta['img_shape'] == (40, 60)


def test_small_masks_are_resized_and_others_refused(tmp_path):
    root = write_set(tmp_path)
    mask = cv2.imread(str(root / 'mask/0.png'), 0)
    cv2.imwrite(str(root / 'mask/0.png'), mask[::2, ::2])
    cv2.imwrite(str(root / 'mask/1.png'), mask)
    dataset = SODDataset(data_root=str(root), pipeline=PIPELINE)
    label = dataset[0]['data_samples'].gt_sem_seg.data[0].numpy()
    assert label.shape == (40, 60) and np.mean(label != (mask > 128)) < 0.03
    with pytest.raises(DataError, match=r"mask/1.png' is 60 x 40, its image 50 x 50"):
        dataset[1]


def test_an_empty_mask_is_a_sample_without_salient_pixels(tmp_path):
    root = write_set(tmp_path)
    cv2.imwrite(str(root / 'mask/0.png'), np.zeros((40, 60), np.uint8))
    dataset = SODDataset(data_root=str(root), pipeline=PIPELINE)
    assert dataset[0]['data_samples'].gt_sem_seg.data.sum() == 0


@pytest.mark.parametrize('which', ['image', 'mask'])
def test_truncated_files_are_named(tmp_path, which):
    root = write_set(tmp_path)
    path = root / which / '2.png'
    path.write_bytes(path.read_bytes()[:60])
    dataset = SODDataset(data_root=str(root), pipeline=PIPELINE)
    with pytest.raises(DataError, match=f"{which} '.*{which}/2.png'"):
        dataset[2]


def test_weak_label_is_packed():
    pack = TRANSFORMS.build(dict(type='mmkd_sod.PackSODInputs'))
    weak = np.random.rand(5, 6).astype(np.float32)
    packed = pack(dict(img=np.zeros((5, 6, 3), np.uint8), weak_label=weak[:, ::-1]))
    torch.testing.assert_close(
        packed['data_samples'].weak_label.data[0], torch.from_numpy(weak).flip(1)
    )
