"""HKDNet: released sizes, any image size, one training step."""

import pytest
import torch

from mmkd_sod.registry import MODELS
from tests.rgbd import batch, hkdnet

SMALL = hkdnet()


def full_hkdnet(arch):
    return MODELS.build(
        dict(type='mmkd_sod.HKDNet', encoder=dict(type='mmkd_sod.ShuntedTransformer', arch=arch))
    )


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


@pytest.mark.parametrize('arch, total, released', [('T', 30.44, 34.97), ('B', 86.56, 91.09)])
def test_parameters(arch, total, released):
    with torch.device('meta'):
        model = full_hkdnet(arch)
    assert millions(model) == pytest.approx(total, abs=0.005)
    assert millions(model.decode_head) == pytest.approx(8.36, abs=0.005)
    classifiers = 2 * 513_000 / 1e6
    # Ten more C x C linear layers per level.
    projections = sum(10 * (c * c + c) for c in (64, 128, 256, 512)) / 1e6
    assert millions(model) + classifiers + projections == pytest.approx(released, abs=0.02)


@pytest.mark.parametrize('size', [(224, 224), (256, 256), (320, 256)])
def test_forward_of_hkdnet_s(size):
    model = full_hkdnet('T').eval()
    with torch.no_grad():
        maps = model(torch.randn(1, 6, *size))
    assert [tuple(m.shape) for m in maps] == [(1, 1, *size)] * 4
    assert all(torch.isfinite(m).all() for m in maps)


@pytest.mark.parametrize('number', [1, 3])
def test_one_step_of_training(number):
    model = MODELS.build(SMALL)
    model.init_weights()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = model.data_preprocessor(batch(number, 64, 96), training=True)
    before = None
    for _ in range(4):
        losses = model(**data, mode='loss')
        loss = sum(losses.values())
        before = before or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert set(losses) == {f'decode.loss_bce_m{i}' for i in (1, 2, 3, 4)}
    assert loss < before
    assert all(p.grad is not None for p in model.parameters())


def test_prediction_returns_to_the_images_size():
    model = MODELS.build(SMALL).eval()
    data = model.data_preprocessor(batch(2, 50, 70, labels=False), training=False)
    assert data['inputs'].shape == (2, 6, 64, 96)
    with torch.no_grad():
        predicted = model(**data, mode='predict')
    for sample in predicted:
        assert sample.seg_logits.data.shape == sample.pred_sem_seg.data.shape == (1, 53, 75)
        # mmseg keeps the sigmoid of a one-channel map.
        assert sample.seg_logits.data.min() >= 0 and sample.seg_logits.data.max() <= 1


def test_two_encoders_of_other_kinds():
    model = MODELS.build(
        dict(
            SMALL,
            encoder=dict(
                type='mmseg.MixVisionTransformer',
                embed_dims=16,
                num_layers=[1, 1, 1, 1],
                num_heads=[1, 1, 2, 2],
            ),
            decode_head=dict(SMALL['decode_head'], in_channels=(16, 16, 32, 32)),
        )
    ).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 6, 64, 64))[0].shape == (1, 1, 64, 64)
