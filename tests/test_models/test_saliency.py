"""Saliency maps of any segmentor."""

import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency import resize_like, saliency_head, saliency_logits


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
    model, last = nn.Module(), nn.Identity()
    last.out_channels = 1
    model.decode_head = nn.ModuleList([nn.Identity(), last])
    assert saliency_head(model, 'x') is last
    with pytest.raises(ConfigError, match=r'the teacher \(Identity\) has no decode_head'):
        saliency_head(nn.Identity(), 'the teacher')
