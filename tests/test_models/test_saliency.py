"""Saliency maps of any segmentor."""

import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.saliency import (
    check_logits,
    check_repeatable,
    resize_like,
    saliency_head,
    saliency_logits,
)
from mmkd_sod.testing.small_segmentors import small_segmentor


def test_resize():
    x = torch.rand(1, 1, 4, 4)
    assert resize_like(x, (4, 4)) is x
    assert resize_like(x, torch.Size((8, 6))).shape == (1, 1, 8, 6)
    torch.testing.assert_close(resize_like(x, (7, 7), True)[..., ::2, ::2], x)


def test_logits_of_one_and_two_channels():
    one, two = torch.randn(2, 1, 3, 3), torch.randn(2, 2, 3, 3)
    assert saliency_logits(one)[0] is one
    first, second = saliency_logits((one, two))
    assert first is one
    torch.testing.assert_close(second.sigmoid(), two.softmax(1)[:, 1:])


def test_head_of_a_cascade_and_refusal():
    model, last = nn.Module(), build_model(small_segmentor('FCN', classes=2)).decode_head
    model.decode_head = nn.ModuleList([nn.Identity(), last])
    assert saliency_head(model, 'x') is last
    with pytest.raises(ConfigError, match=r'the teacher \(Identity\) has no decode_head'):
        saliency_head(nn.Identity(), 'the teacher')


def test_heads_that_draw_random_numbers_are_refused():
    head = build_model(small_segmentor('FCN', classes=2)).decode_head
    check_repeatable(head, 'the model')
    head.hamburger = nn.Module()
    head.hamburger.rand_init = True  # as in SegNeXt's matrix decomposition
    with pytest.raises(ConfigError, match='FCNHead starts its matrix decomposition from random'):
        check_repeatable(head, 'the model')


@pytest.mark.parametrize('name', ['PointHead', 'MaskFormerHead'])
def test_heads_that_predict_in_their_own_way_are_refused(name):
    head = type(name, (nn.Module,), {})()
    with pytest.raises(ConfigError, match=f'the model: decode_head {name} does not predict as'):
        check_logits(head, 'the model')
