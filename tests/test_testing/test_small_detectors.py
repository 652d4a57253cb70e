"""Small detectors: requested sizes, unknown heads refused."""

import pytest
import torch
from mmengine.registry import init_default_scope

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.testing.small_detectors import random_batch, small_detector


def test_sizes():
    init_default_scope('mmdet')
    model = build_model(small_detector('GFLHead', width=8, channels=64, classes=5, reg_max=7))
    head = model.bbox_head
    assert (head.in_channels, head.feat_channels, head.num_classes, head.reg_max) == (64, 64, 5, 7)
    assert model.backbone.conv1.out_channels == 8
    assert sum(p.numel() for p in model.parameters()) < 1_000_000


def test_unknown_heads_are_refused():
    with pytest.raises(ConfigError, match="name='SSDHead' is unknown"):
        small_detector('SSDHead')


def test_batches_are_reproducible_and_do_not_use_the_global_generator():
    torch.manual_seed(0)
    wanted = torch.rand(1)
    torch.manual_seed(0)
    first, second = random_batch(empty=(1,)), random_batch(empty=(1,))
    assert torch.equal(torch.rand(1), wanted)
    assert all(torch.equal(a, b) for a, b in zip(first['inputs'], second['inputs'], strict=True))
    counts = [len(sample.gt_instances) for sample in first['data_samples']]
    assert counts == [3, 0]
    other = random_batch(seed=1)['inputs']
    assert not torch.equal(other[0], first['inputs'][0])
