"""Decoder branches and fusion modules of HKDNet."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from mmcv.cnn import DepthwiseSeparableConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmkd_sod.models.saliency import resize_like

from .cross_modal_attention import CrossModalWindowAttention


def dsconv(in_channels: int, out_channels: int) -> DepthwiseSeparableConvModule:
    """Return a depthwise 3x3 and a pointwise convolution, without norm and activation."""
    return DepthwiseSeparableConvModule(
        in_channels, out_channels, 3, padding=1, norm_cfg=None, act_cfg=None
    )


class BranchDecoder(BaseModule):
    """Decoder of one modality, from the deepest features of both up to the finest level.

    Args:
        channels (Sequence[int]): Channels of the encoder's features, shallow first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.seed = dsconv(2 * channels[-1], channels[-1])
        self.convs = nn.ModuleList(dsconv(c + deeper, c) for c, deeper in pairwise(channels))

    def forward(self, feats: Sequence[Tensor], other: Tensor) -> list[Tensor]:
        """Decode the features of one modality.

        Args:
            feats (Sequence[Tensor]): Features (N, C_k, H_k, W_k) of the modality, shallow first.
            other (Tensor): Deepest feature of the other modality.

        Returns:
            list[Tensor]: Features with the shapes of ``feats``, finest first.
        """
        outs = [self.seed(torch.cat([feats[-1], other], 1))]
        for conv, feat in zip(reversed(self.convs), reversed(feats[:-1]), strict=True):
            outs.insert(0, conv(torch.cat([feat, resize_like(outs[0], feat.shape[2:])], 1)))
        return outs


class SpatialAttention(BaseModule):
    """Weights positions by the sigmoid of a 7x7 convolution of the maximum over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the positions of (N, C, H, W)."""
        return x * self.conv(x.amax(1, keepdim=True)).sigmoid()


class CrossModalFusion(BaseModule):
    """Fusion of image and depth features at one level of HKDNet (IEEE TSMC-S 2025).

    With the outputs R', D' of cross-modal attention: ``R = dsconv([r, R']) + r``, D likewise;
    ``common = R + D``, ``different = |R - D|``, ``guided = (r + d) / 2 * prior``, each with its own
    spatial attention; ``F = dsconv([r, d, common, different, guided])``; the output is
    ``F + F * sigmoid(F)``.

    Args:
        dim (int): Channels of both modalities and of the prior.
        heads (int): Attention heads.
        repeats (int): Repetitions of the attention.
        window (int): Side of the attention windows.
    """

    def __init__(self, dim: int, heads: int, repeats: int, window: int = 8) -> None:
        super().__init__()
        self.attention = CrossModalWindowAttention(dim, heads, repeats, window)
        self.merge_rgb = dsconv(2 * dim, dim)
        self.merge_depth = dsconv(2 * dim, dim)
        self.spatial = nn.ModuleList(SpatialAttention() for _ in range(3))
        self.fuse = dsconv(5 * dim, dim)

    def forward(self, rgb: Tensor, depth: Tensor, prior: Tensor) -> Tensor:
        """Fuse image features, depth features and prior, (N, C, H, W) each, to (N, C, H, W)."""
        attended_rgb, attended_depth = self.attention(rgb, depth)
        r = self.merge_rgb(torch.cat([rgb, attended_rgb], 1)) + rgb
        d = self.merge_depth(torch.cat([depth, attended_depth], 1)) + depth
        joint = (r + d, (r - d).abs(), (rgb + depth) / 2 * prior)
        attended = [attend(feat) for attend, feat in zip(self.spatial, joint, strict=True)]
        fused = self.fuse(torch.cat([rgb, depth, *attended], 1))
        return fused + fused * fused.sigmoid()
