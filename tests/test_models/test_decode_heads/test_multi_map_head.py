"""MultiMapHead: the finest map is predicted, all maps are trained."""

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mmkd_sod.models.decode_heads.multi_map_head import MultiMapHead
from mmkd_sod.models.saliency import resize_like


class Head(MultiMapHead):
    first_level = 3

    def __init__(self, **kwargs):
        super().__init__(
            in_channels=2,
            channels=2,
            num_classes=2,
            out_channels=1,
            threshold=0.5,
            dropout_ratio=0,
            **kwargs,
        )
        self.conv_seg, self.conv_side = nn.Conv2d(2, 1, 1), nn.ModuleList([nn.Conv2d(2, 1, 1)])
        self.level_weights = (2, 0.5)

    def decode(self, inputs):
        return list(inputs)


FEATS = torch.randn(2, 2, 8, 8), torch.randn(2, 2, 4, 4)


def test_maps_and_prediction():
    head = Head()
    finest, coarse = head(FEATS)
    torch.testing.assert_close(finest, head.conv_seg(FEATS[0]))
    torch.testing.assert_close(coarse, head.conv_side[0](FEATS[1]))
    answer = head.predict(FEATS, [dict(img_shape=(16, 16))], None)
    torch.testing.assert_close(answer, resize_like(finest, (16, 16)))


def test_losses_of_every_level_and_of_two_kinds():
    head = Head(
        loss_decode=[
            dict(type='mmkd_sod.DiceLoss'),
            dict(type='mmseg.CrossEntropyLoss', use_sigmoid=True),
        ]
    )
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 2, (1, 8, 8)))) for _ in range(2)
    ]
    losses = head.loss(FEATS, samples, None)
    assert list(losses) == ['loss_dice_m3', 'loss_ce_m3', 'loss_dice_m4', 'loss_ce_m4']
    label = torch.stack([sample.gt_sem_seg.data for sample in samples])
    coarse = resize_like(head(FEATS)[1], (8, 8))
    torch.testing.assert_close(losses['loss_dice_m4'], 0.5 * head.loss_decode[0](coarse, label))
    torch.testing.assert_close(
        losses['loss_ce_m4'],
        0.5 * nn.functional.binary_cross_entropy_with_logits(coarse, label.float()),
    )
