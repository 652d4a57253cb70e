"""Decoder branches, spatial attention and fusion of HKDNet."""

import torch

from mmkd_sod.models.decode_heads.hkd_layers import (
    BranchDecoder,
    CrossModalFusion,
    SpatialAttention,
    dsconv,
)
from mmkd_sod.models.saliency import resize_like

CHANNELS = (4, 8, 16)


def test_dsconv_has_neither_norm_nor_activation():
    conv = dsconv(4, 6)
    assert sum(p.numel() for p in conv.parameters()) == 4 * 9 + 4 + 4 * 6 + 6
    x, y = torch.randn(2, 1, 4, 5, 5)
    zero = conv(torch.zeros(1, 4, 5, 5))
    # Affine in its input.
    torch.testing.assert_close(conv(x + y), conv(x) + conv(y) - zero)


def test_branch_decoder_by_hand_and_at_any_size():
    decoder = BranchDecoder(CHANNELS)
    feats = [
        torch.randn(1, c, *size) for c, size in zip(CHANNELS, ((9, 7), (5, 4), (3, 2)), strict=True)
    ]
    other = torch.randn(1, 16, 3, 2)
    e1, e2, e3 = decoder(feats, other)
    torch.testing.assert_close(e3, decoder.seed(torch.cat([feats[2], other], 1)))
    torch.testing.assert_close(
        e2, decoder.convs[1](torch.cat([feats[1], resize_like(e3, feats[1].shape[2:])], 1))
    )
    assert e1.shape == feats[0].shape


def test_spatial_attention_weights_positions():
    module, x = SpatialAttention(), torch.randn(2, 5, 9, 9)
    weights = module(x) / x
    torch.testing.assert_close(weights, weights[:, :1].expand_as(x))
    assert weights.min() > 0 and weights.max() < 1


def test_fusion_by_hand():
    fusion = CrossModalFusion(4, heads=2, repeats=2, window=4)
    r, d, prior = torch.randn(3, 1, 4, 8, 8)
    attended = fusion.attention(r, d)
    big_r = fusion.merge_rgb(torch.cat([r, attended[0]], 1)) + r
    big_d = fusion.merge_depth(torch.cat([d, attended[1]], 1)) + d
    parts = [
        weigh(part)
        for weigh, part in zip(
            fusion.spatial, (big_r + big_d, abs(big_r - big_d), (r + d) / 2 * prior), strict=True
        )
    ]
    fused = fusion.fuse(torch.cat([r, d, *parts], 1))
    torch.testing.assert_close(fusion(r, d, prior), fused * (1 + fused.sigmoid()))
