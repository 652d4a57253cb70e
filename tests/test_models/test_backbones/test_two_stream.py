"""TwoStreamBackbone: each encoder sees its own channels."""

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

ENCODER = dict(type='mmkd_sod.ShuntedTransformer', embed_dims=(8, 16, 16, 32), heads=(2, 2, 2, 2))


def test_each_encoder_sees_its_own_channels():
    model = MODELS.build(dict(type='mmkd_sod.TwoStreamBackbone', rgb=ENCODER)).eval()
    inputs = torch.randn(1, 6, 32, 32)
    rgb, depth = model(inputs)
    assert len(rgb) == len(depth) == 4
    torch.testing.assert_close(rgb[3], model.rgb(inputs[:, :3])[3])
    torch.testing.assert_close(depth[0], model.depth(inputs[:, 3:])[0])
    shared = {id(p) for p in model.rgb.parameters()} & {id(p) for p in model.depth.parameters()}
    assert not shared


def test_two_kinds_of_encoder():
    depth = dict(type='mmseg.ResNetV1c', depth=18, base_channels=8)
    model = MODELS.build(dict(type='mmkd_sod.TwoStreamBackbone', rgb=ENCODER, depth=depth)).eval()
    assert type(model.depth).__name__ == 'ResNetV1c'


def test_three_channels_are_refused():
    model = MODELS.build(dict(type='mmkd_sod.TwoStreamBackbone', rgb=ENCODER))
    with pytest.raises(ConfigError, match='got 3 channels; needs 6'):
        model(torch.randn(1, 3, 32, 32))
