"""PaddleMobileNetV3: shapes, released sizes, and what differs from the standard network."""

import json

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.backbones.paddle_mobilenet_v3 import PaddleMobileNetV3, SqueezeExcite
from tests.conftest import golden_files


def test_strides_and_channels():
    outs = PaddleMobileNetV3().eval()(torch.zeros(1, 3, 96, 64))
    assert [tuple(o.shape[1:]) for o in outs] == [(16, 24, 16), (24, 12, 8), (56, 6, 4), (80, 3, 2)]


def test_width_one_is_the_standard_network():
    outs = PaddleMobileNetV3(widen_factor=1.0).eval()(torch.zeros(1, 3, 64, 64))
    assert [o.shape[1] for o in outs] == [24, 40, 112, 160]


def test_squeeze_excite_by_hand():
    se = SqueezeExcite(40)
    assert se.conv1.out_channels == 10
    for conv, bias in ((se.conv1, 1.0), (se.conv2, 0.0)):
        torch.nn.init.zeros_(conv.weight)
        torch.nn.init.constant_(conv.bias, bias)
    x = torch.randn(2, 40, 3, 3)
    torch.testing.assert_close(se(x), x * 0.5)
    torch.nn.init.constant_(se.conv2.bias, 2.0)
    torch.testing.assert_close(se(x), x * 0.9)  # a slope of 1/6 would give 5/6
    torch.nn.init.constant_(se.conv2.bias, -3.0)
    assert se(x).abs().sum() == 0


def test_every_block_expands_and_blocks_without_output_are_left_out():
    backbone = PaddleMobileNetV3(out_indices=(2, 5))
    assert len(backbone.blocks) == 6
    assert all(hasattr(block, 'expand_conv') for block in backbone.blocks)


@pytest.mark.parametrize('indices', [(), (5, 2), (2, 2), (2, 15), (-1, 2)])
def test_refuses_indices(indices):
    with pytest.raises(ConfigError, match='must be increasing indices of blocks 0 to 14'):
        PaddleMobileNetV3(out_indices=indices)


def test_channels_last_and_bf16():
    backbone = PaddleMobileNetV3().eval()
    x = torch.randn(2, 3, 64, 64)
    last = backbone.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, backbone(x), rtol=1e-4, atol=1e-4)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.isfinite(backbone(x)[-1]).all()


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('scfnet_m3_050*.json'))
def test_released_feature_shapes(path):
    expected = json.loads(path.read_text())
    size, wanted = expected['size'], expected['backbone_feature_shapes']
    backbone = PaddleMobileNetV3().eval()
    x = torch.zeros(wanted[0][0], 3, size, size)
    shapes = [list(backbone.conv(x).shape), *(list(o.shape) for o in backbone(x))]
    assert shapes == wanted
