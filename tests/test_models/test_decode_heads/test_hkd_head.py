"""HKDHead: four maps at the image's size, weighted losses, errors."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

SMALL = dict(
    type='mmkd_sod.HKDHead', in_channels=(4, 8, 8, 16), heads=(1, 2, 2, 4), repeats=(1, 2, 2, 1)
)


def features(size=16, batch=2):
    return tuple(
        tuple(
            torch.randn(batch, c, size >> level, size >> level)
            for level, c in enumerate(SMALL['in_channels'])
        )
        for _ in range(2)
    )


def samples(size=64, batch=2):
    return [
        SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 2, (1, size, size))))
        for _ in range(batch)
    ]


def test_maps_and_prediction():
    head = MODELS.build(SMALL).eval()
    feats = features()
    maps = head(feats)
    assert [tuple(m.shape) for m in maps] == [(2, 1, 64, 64)] * 4
    torch.testing.assert_close(head.predict(feats, [dict(img_shape=(64, 64))], None), maps[0])


def test_losses_are_weighted_by_level():
    head = MODELS.build(SMALL)
    feats, labels = features(), samples()
    maps = head(feats)
    losses = head.loss_by_feat(maps, labels)
    assert list(losses) == [f'loss_bce_m{i}' for i in (1, 2, 3, 4)]
    target = torch.stack([s.gt_sem_seg.data for s in labels])
    torch.testing.assert_close(losses['loss_bce_m1'], 4 * head.loss_decode(maps[0], target))
    torch.testing.assert_close(losses['loss_bce_m3'], head.loss_decode(maps[2], target))
    head.level_weights = (4, 1, 0, 0)
    assert head.loss_by_feat(maps, labels)['loss_bce_m4'] == 0


def test_every_weight_is_used():
    head = MODELS.build(SMALL)
    sum(head.loss(features(), samples(), None).values()).backward()
    unused = [name for name, p in head.named_parameters() if p.grad is None]
    assert unused == []


def test_any_loss_of_one_map():
    head = MODELS.build(
        dict(
            SMALL,
            loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=True, loss_name='loss_ce'),
        )
    )
    ours = MODELS.build(SMALL)
    ours.load_state_dict(head.state_dict())
    feats, labels = features(), samples()
    torch.testing.assert_close(
        head.loss(feats, labels, None)['loss_ce_m2'], ours.loss(feats, labels, None)['loss_bce_m2']
    )


def test_refusals():
    with pytest.raises(ConfigError, match='one entry per level'):
        MODELS.build(dict(SMALL, repeats=(1, 2)))
    with pytest.raises(ConfigError, match='must divide in_channels'):
        MODELS.build(dict(SMALL, heads=(3, 2, 2, 4)))
