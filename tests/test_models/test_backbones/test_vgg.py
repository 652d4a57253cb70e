"""VGG: a backbone of mmseg with init_cfg."""

import pytest
import torch

from mmkd_sod.registry import MODELS


def test_strides_and_channels():
    vgg = MODELS.build(dict(type='mmkd_sod.VGG', depth=16, out_indices=(1, 2, 3, 4))).eval()
    with torch.no_grad():
        outs = vgg(torch.zeros(1, 3, 64, 32))
    assert [tuple(o.shape[1:]) for o in outs] == [
        (128, 16, 8),
        (256, 8, 4),
        (512, 4, 2),
        (512, 2, 1),
    ]


def test_init_cfg(tmp_path):
    source = MODELS.build(dict(type='mmkd_sod.VGG', depth=11))
    source.init_weights()
    assert source.features[0].bias.abs().sum() == 0
    path = tmp_path / 'vgg.pth'
    torch.save(source.state_dict(), path)
    target = MODELS.build(
        dict(type='mmkd_sod.VGG', depth=11, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    )
    target.init_weights()
    torch.testing.assert_close(target.features[0].weight, source.features[0].weight)


def test_unknown_depth():
    with pytest.raises(KeyError, match='invalid depth 12'):
        MODELS.build(dict(type='mmkd_sod.VGG', depth=12))
