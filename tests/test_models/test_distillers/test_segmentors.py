"""Where a distiller reads a segmentor."""

import pytest
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.segmentors import decode_head_of, find_classifier


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_seg = nn.Conv2d(4, 3, 1)
        self.act = nn.ReLU()


class Model(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.decode_head = head


def test_last_head_of_a_cascade():
    heads = nn.ModuleList([Head(), Head()])
    assert decode_head_of(Model(heads), 'student', 'X') is heads[1]
    assert find_classifier(Model(heads), 'student', 'X') is heads[1].conv_seg
    assert find_classifier(Model(heads), 'student', 'X', 'decode_head.0.conv_seg') is (
        heads[0].conv_seg
    )


def test_refusals():
    with pytest.raises(ConfigError, match='the teacher is a Identity without one'):
        decode_head_of(nn.Identity(), 'teacher', 'X')
    with pytest.raises(ConfigError, match="which the student's Identity does not have"):
        find_classifier(Model(nn.Identity()), 'student', 'X')
    with pytest.raises(ConfigError, match="did you mean 'decode_head.conv_seg'"):
        find_classifier(Model(Head()), 'student', 'X', 'decode_head.conv_sag')
    with pytest.raises(ConfigError, match='is a ReLU; name the convolution'):
        find_classifier(Model(Head()), 'student', 'X', 'decode_head.act')
