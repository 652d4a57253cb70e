"""Small segmentors and batches for tests."""

import pytest
import torch
from mmengine.registry import init_default_scope

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.testing.small_segmentors import random_batch, small_segmentor


@pytest.mark.parametrize('name', ['FCN', 'SegFormer'])
def test_trains_a_step(name):
    init_default_scope('mmseg')
    model = build_model(small_segmentor(name, classes=4)).train()
    data = model.data_preprocessor(random_batch(images=2, classes=4), training=True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    assert torch.isfinite(total)


def test_batches_are_reproducible_and_do_not_use_the_global_generator():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = random_batch(seed=3), random_batch(seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first['inputs'], second['inputs'], strict=True))


def test_unknown_architecture():
    with pytest.raises(ConfigError, match="name='UNet' is unknown"):
        small_segmentor('UNet')
