"""SODDataPreprocessor: one random side per batch, for images and all maps."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.data_preprocessors import SODDataPreprocessor


def batch(shapes, with_label=True):
    inputs, samples = [], []
    for h, w in shapes:
        inputs.append(torch.randint(0, 256, (3, h, w), dtype=torch.uint8))
        sample = SegDataSample(metainfo=dict(img_shape=(h, w), ori_shape=(h, w)))
        if with_label:
            sample.gt_sem_seg = PixelData(data=torch.randint(0, 2, (1, h, w)))
        sample.set_data(dict(weak_label=PixelData(data=torch.rand(1, h, w))))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def test_one_side_per_batch_from_the_list():
    pre, seen = SODDataPreprocessor(sides=(32, 64)), set()
    np.random.seed(0)
    for _ in range(12):
        out = pre(batch([(40, 50), (33, 20)]), training=True)
        side = out['inputs'].shape[-1]
        seen.add(side)
        assert out['inputs'].shape == (2, 3, side, side)
        for sample in out['data_samples']:
            assert sample.gt_sem_seg.data.shape == (1, side, side)
            assert sample.gt_sem_seg.data.dtype == torch.int64
            assert set(sample.gt_sem_seg.data.unique().tolist()) <= {0, 1}
            assert sample.weak_label.data.shape == (1, side, side)
            assert sample.img_shape == (side, side) and tuple(sample.pad_shape[-2:]) == (side, side)
    assert seen == {32, 64}


def test_the_seed_of_the_run_sets_the_sides():
    def sides():
        np.random.seed(3)
        pre = SODDataPreprocessor()
        return [pre(batch([(32, 32)]), training=True)['inputs'].shape[-1] for _ in range(5)]

    assert sides() == sides()


def test_normalises_in_rgb_and_resizes_like_bilinear():
    data = batch([(32, 32)])
    image = data['inputs'][0].clone()
    out = SODDataPreprocessor(sides=(32,), mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))(
        data, training=True
    )
    expected = (image[0].float() - 3) / 6
    torch.testing.assert_close(out['inputs'][0, 2], expected)


def test_unlabelled_samples_can_be_predicted_on():
    out = SODDataPreprocessor(sides=(32,))(batch([(40, 50)], with_label=False), training=True)
    assert out['data_samples'][0].pad_shape == (32, 32)


def test_testing_keeps_sizes():
    out = SODDataPreprocessor()(batch([(40, 50), (40, 50)]))
    assert out['inputs'].shape == (2, 3, 40, 50)


@pytest.mark.parametrize('sides', [(), (100,), (0,), (-32,)])
def test_refuses_sides(sides):
    with pytest.raises(ConfigError, match='must be positive multiples of 32'):
        SODDataPreprocessor(sides=sides)
