"""SCFHead: sizes and costs, training, prediction, and errors."""

import pytest
import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.decode_heads.scf_head import SCFHead, SemanticContextFusion
from mmkd_sod.models.losses import StructurePolishingLoss
from mmkd_sod.models.saliency import resize_like
from mmkd_sod.registry import MODELS


def network(root, name='scfnet_mobilenetv3', **head):
    cfg = Config.fromfile(root / f'configs/_base_/models/{name}.py').model
    cfg.decode_head.update(head)
    return MODELS.build(cfg)


def numbers(model):
    """Count parameters and running statistics of norm layers, as Paddle does."""
    statistics = (v for k, v in model.named_buffers() if '.running_' in k)
    return sum(v.numel() for v in [*model.parameters(), *statistics])


@pytest.mark.parametrize(
    'name, count', [('scfnet_mobilenetv3', 800_154), ('scfnet_r50', 26_148_420)]
)
def test_released_sizes(root, name, count):
    assert numbers(network(root, name)) == count


@pytest.mark.parametrize(
    'name, millions, gflops',
    [
        ('scfnet_mobilenetv3', 0.80, 0.25),
        ('scfnet_r50', 26.15, 13.15),
        pytest.param('scfnet_swin_b', 88.16, 46.74, marks=pytest.mark.slow),
        pytest.param('scfnet_vgg16', 15.90, 39.80, marks=pytest.mark.slow),
    ],
)
def test_published_sizes_and_flops_at_352(root, name, millions, gflops):
    """Compare with the paper's figures; those of VGG-16 are this project's."""
    model = network(root, name).eval()
    assert numbers(model) == pytest.approx(millions * 1e6, rel=0.01)
    info = get_model_complexity_info(model, (3, 352, 352), show_table=False, show_arch=False)
    print(
        f'{name}: {numbers(model):,} numbers, {info["flops"] / 1e9:.3f} GFLOPs, '
        f'paper {millions} M, {gflops} G'
    )
    assert info['flops'] == pytest.approx(gflops * 1e9, rel=0.02)


def samples(n, side, seed=0):
    torch.manual_seed(seed)
    return [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(0, 2, (1, side, side))),
            metainfo=dict(img_shape=(side, side), ori_shape=(side, side)),
        )
        for _ in range(n)
    ]


def test_levels_and_their_weights(root):
    model = network(root, level_weights=(1, 0.5, 0.25, 0.0)).eval()
    data, x = samples(2, 64), torch.randn(2, 3, 64, 64)
    maps = model(x, mode='tensor')
    assert [tuple(m.shape) for m in maps] == [(2, 1, s, s) for s in (16, 8, 4, 2)]
    losses = model(x, data, mode='loss')
    assert list(losses) == [f'decode.loss_sp_m{i}' for i in (2, 3, 4, 5)]
    label = torch.stack([s.gt_sem_seg.data for s in data])
    expected = 0.5 * StructurePolishingLoss()(resize_like(maps[1], (64, 64)), label)
    torch.testing.assert_close(losses['decode.loss_sp_m3'], expected)
    assert losses['decode.loss_sp_m5'] == 0
    sum(losses.values()).backward()
    assert model.backbone.conv.conv.weight.grad.abs().sum() > 0


def test_prediction_is_the_sigmoid_of_the_finest_map(root):
    model, data = network(root).eval(), samples(2, 64)
    x = torch.randn(2, 3, 64, 64)
    for sample, shape in zip(data, ((50, 70), (64, 64)), strict=True):
        sample.set_metainfo(dict(ori_shape=shape))
    with torch.no_grad():
        out, maps = model(x, data, mode='predict'), model(x, mode='tensor')
    assert out[0].seg_logits.data.shape == (1, 50, 70)
    torch.testing.assert_close(out[1].seg_logits.data, resize_like(maps[0], (64, 64))[1].sigmoid())
    assert torch.equal(out[1].pred_sem_seg.data, (out[1].seg_logits.data > 0.5).float())


def test_several_losses(root):
    model = network(
        root, loss_decode=[dict(type='mmkd_sod.DiceLoss'), dict(type='mmkd_sod.BoundaryDiceLoss')]
    )
    assert len(model(torch.randn(2, 3, 64, 64), samples(2, 64), mode='loss')) == 8


def test_fusion_follows_the_release():
    fusion = SemanticContextFusion(4, norm_cfg=None)
    low, high, deep = torch.rand(1, 4, 8, 8), torch.rand(1, 4, 4, 4), torch.rand(1, 4, 2, 2)
    hd = fusion.high_conv(high + high * resize_like(deep, (4, 4)))
    lh = fusion.low_conv(low + low * resize_like(high, (8, 8)))
    torch.testing.assert_close(
        fusion(low, high, deep), fusion.out_conv(lh + resize_like(hd, (8, 8)))
    )


def test_odd_sizes_and_bf16(root):
    model = network(root).eval()
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(torch.randn(1, 3, 75, 50), samples(1, 75), mode='loss')
    assert all(torch.isfinite(v) and v.dtype == torch.float32 for v in losses.values())


@pytest.mark.parametrize(
    'cfg',
    [dict(level_weights=(1, 1)), dict(out_channels=2), dict(in_channels=(8,), level_weights=(1,))],
)
def test_refuses(cfg):
    with pytest.raises(ConfigError, match='SCFHead: .* at least two levels'):
        SCFHead(**cfg)
