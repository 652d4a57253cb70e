"""Towers: splitting after some blocks."""

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmkd_sod.models.task_modules import TowerReader


class Shared(nn.Module):
    """Head with two towers of two blocks for all levels, of different widths."""

    in_channels = 3

    def __init__(self):
        super().__init__()
        self.cls_convs = nn.ModuleList([ConvModule(3, 4, 1), ConvModule(4, 6, 1, act_cfg=None)])
        self.reg_convs = nn.ModuleList([ConvModule(3, 5, 1), ConvModule(5, 7, 1), nn.Identity()])

    def forward(self, feats):
        out = []
        for tower in (self.cls_convs, self.reg_convs):
            level = []
            for feat in feats:
                for block in tower:
                    feat = block(feat)
                level.append(feat)
            out.append(level)
        return out


class Separate(Shared):
    """Head with separate towers for two levels."""

    def __init__(self):
        super().__init__()
        self.cls_convs = nn.ModuleList([self.cls_convs, nn.Sequential(*Shared().cls_convs)])
        self.reg_convs = nn.ModuleList([self.reg_convs, Shared().reg_convs])

    def forward(self, feats):
        out = []
        for towers in (self.cls_convs, self.reg_convs):
            level = []
            for tower, feat in zip(towers, feats, strict=True):
                for block in tower:
                    feat = block(feat)
                level.append(feat)
            out.append(level)
        return out


@pytest.mark.parametrize('head', [Shared, Separate])
def test_depth_channels_and_activation(head):
    reader = TowerReader(head())
    assert reader.depth == 2
    assert reader.channels(0) == dict(cls_convs=3, reg_convs=3)
    assert reader.channels(1) == dict(cls_convs=4, reg_convs=5)
    assert reader.channels(2) == dict(cls_convs=6, reg_convs=7)
    assert [reader.ends_in_relu(idx) for idx in range(3)] == [False, True, False]


@pytest.mark.parametrize(
    'head, taps',
    [
        (Shared, ['cls_convs', 'reg_convs']),
        (Separate, ['cls_convs/0', 'cls_convs/1', 'reg_convs/0', 'reg_convs/1']),
    ],
)
def test_sources_and_their_towers(head, taps):
    reader = TowerReader(head())
    assert list(reader.tower_sources(1)) == taps
    kept = {name: [name] for name in taps} if len(taps) == 4 else {name: [1, 2] for name in taps}
    streams = reader.collect(kept)
    assert list(streams) == ['cls_convs', 'reg_convs']
    assert all(len(levels) == 2 for levels in streams.values())


@pytest.mark.parametrize('idx', [0, 1, 2])
@pytest.mark.parametrize('head', [Shared, Separate])
def test_the_tail_uses_the_features_of_each_tower(head, idx):
    head = head()
    reader = TowerReader(head)
    channels = reader.channels(idx)
    feats = {
        tower: [torch.randn(1, count, 2, 2) for _ in range(2)] for tower, count in channels.items()
    }
    found = reader.run_tail(feats, idx)
    for tower, got in zip(reader.towers, found, strict=True):
        towers = getattr(head, tower)
        for level in range(2):
            blocks = towers if type(head) is Shared else towers[level]
            wanted = feats[tower][level]
            for block in blocks[idx:]:
                wanted = block(wanted)
            assert torch.equal(got[level], wanted)


def test_towers_are_restored_after_an_error():
    head = Separate()
    towers = head.cls_convs
    with pytest.raises(RuntimeError):
        TowerReader(head).run_tail(
            dict.fromkeys(('cls_convs', 'reg_convs'), [torch.zeros(1, 9, 2, 2)] * 2), 1
        )
    assert head.cls_convs is towers
