"""RGBDDataPreprocessor: processing of image, depth map and mask."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.errors import DataError
from mmkd_sod.registry import MODELS


def preprocessor(**kwargs):
    return MODELS.build(
        dict(
            type='mmkd_sod.RGBDDataPreprocessor',
            mean=(1.0, 2.0, 3.0),
            std=(2.0, 2.0, 4.0),
            size_divisor=8,
            **kwargs,
        )
    )


def data(height=8, width=8):
    img = torch.stack([torch.full((height, width), v, dtype=torch.uint8) for v in (30, 20, 10)])
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, height, width).long()))
    return dict(
        inputs=dict(img=[img], depth=[torch.full((1, height, width), 0.25)]), data_samples=[sample]
    )


def test_image_is_normalised_and_depth_is_not():
    inputs = preprocessor()(data(), training=True)['inputs']
    assert inputs.shape == (1, 6, 8, 8)
    expected = [(10 - 1) / 2, (20 - 2) / 2, (30 - 3) / 4, 0.25, 0.25, 0.25]
    torch.testing.assert_close(inputs[0, :, 0, 0], torch.tensor(expected))
    kept = preprocessor(bgr_to_rgb=False)(data(), training=True)['inputs']
    torch.testing.assert_close(kept[0, 0, 0, 0], torch.tensor((30 - 1) / 2))


@pytest.mark.parametrize('training', [True, False])
def test_padded_to_the_divisor(training):
    out = preprocessor()(data(6, 12), training=training)
    assert out['inputs'].shape == (1, 6, 8, 16)
    assert (out['inputs'][..., 6:, :] == 0).all() and (out['inputs'][..., 12:] == 0).all()
    label = out['data_samples'][0].gt_sem_seg.data
    if training:
        assert label.shape == (1, 8, 16) and (label[:, 6:] == 255).all()
    else:
        assert label.shape == (1, 6, 12)


def test_a_fixed_size():
    assert preprocessor(size=(16, 24))(data(), training=True)['inputs'].shape == (1, 6, 16, 24)


def test_refusals():
    batch = data()
    batch['inputs'] = batch['inputs']['img']
    with pytest.raises(DataError, match='holds no depth maps'):
        preprocessor()(batch, training=True)
    batch = data()
    batch['inputs']['depth'] = [torch.zeros(1, 4, 8)]
    with pytest.raises(DataError, match=r'image \(8, 8\) and depth map \(4, 8\) differ'):
        preprocessor()(batch, training=True)
