"""Decoder of HKDNet for RGB-D co-salient object detection."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency import resize_like
from mmkd_sod.registry import MODELS

from .hkd_layers import BranchDecoder, CrossModalFusion, dsconv
from .multi_map_head import MultiMapHead

MODALITIES = ('rgb', 'depth')


@MODELS.register_module()
class HKDHead(MultiMapHead):
    """Decode head of HKDNet (IEEE TSMC-S 2025): two branches, fused from deep to shallow.

    Both branches start from the deepest features of image and depth map and go up through the
    features of their own encoder (``BranchDecoder``). ``CrossModalFusion`` fuses them at
    every level with a prior from the level below. Depthwise separable convolutions predict a logit
    map from each fused feature: ``conv_seg`` the finest, ``conv_side`` the others.

    Distillers read the outputs of ``decoders['rgb']`` and ``decoders['depth']`` (lists, finest
    first) and of ``fusions[0]`` (finest) to ``fusions[-1]``.

    Args:
        in_channels (Sequence[int]): Channels of the features of either encoder, shallow first.
        heads (Sequence[int]): Attention heads per level, finest first.
        repeats (Sequence[int]): Repetitions of the attention per level, finest first.
        window (int): Side of the attention windows.
        stride (int): Stride of the finest features; all maps are returned at the image's size.
        level_weights (Sequence[float]): Loss weight per level, finest first. A schedule may set the
            attribute of this name.
        num_classes (int): 2, mmseg's setting for one logit map; not to be changed.
        out_channels (int): 1.
        threshold (float): Probability above which a pixel is salient.
        dropout_ratio (float): Dropout before ``conv_seg``.
        loss_decode (dict): Loss of one map.
        kwargs: Arguments of mmseg's ``BaseDecodeHead``.

    Raises:
        ConfigError: The numbers of levels differ between settings, heads do not divide the
            channels, or ``out_channels`` is not 1.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 128, 256, 512),
        heads: Sequence[int] = (4, 8, 16, 32),
        repeats: Sequence[int] = (4, 8, 8, 4),
        window: int = 8,
        stride: int = 4,
        level_weights: Sequence[float] = (4, 1, 1, 1),
        num_classes: int = 2,
        out_channels: int = 1,
        threshold: float = 0.5,
        dropout_ratio: float = 0.0,
        loss_decode: dict | Sequence[dict] = dict(  # noqa: B006
            type='mmkd_sod.SaliencyBCELoss'
        ),
        **kwargs,
    ) -> None:
        levels = len(in_channels)
        if not levels == len(heads) == len(repeats) == len(level_weights) or out_channels != 1:
            raise ConfigError(
                f'HKDHead: got in_channels={tuple(in_channels)}, heads={tuple(heads)}, repeats='
                f'{tuple(repeats)}, level_weights={tuple(level_weights)}, out_channels='
                f'{out_channels}; needs one entry per level in each and out_channels=1; change '
                'decode_head'
            )
        if any(c % h for c, h in zip(in_channels, heads, strict=True)):
            raise ConfigError(
                f'HKDHead: heads={tuple(heads)} must divide in_channels='
                f'{tuple(in_channels)} at each level; change decode_head.heads'
            )
        kwargs.setdefault('in_index', list(range(levels)))
        kwargs.setdefault('init_cfg', dict(type='TruncNormal', layer='Linear', std=0.02))
        super().__init__(
            in_channels=list(in_channels),
            channels=in_channels[0],
            num_classes=num_classes,
            out_channels=out_channels,
            threshold=threshold,
            dropout_ratio=dropout_ratio,
            loss_decode=loss_decode,
            input_transform='multiple_select',
            **kwargs,
        )
        self.stride = stride
        self.level_weights = tuple(level_weights)
        self.decoders = nn.ModuleDict(
            {modality: BranchDecoder(in_channels) for modality in MODALITIES}
        )
        self.seed = dsconv(2 * in_channels[-1], in_channels[-1])
        self.priors = nn.ModuleList(dsconv(deeper, c) for c, deeper in pairwise(in_channels))
        self.fusions = nn.ModuleList(
            CrossModalFusion(c, h, r, window)
            for c, h, r in zip(in_channels, heads, repeats, strict=True)
        )
        self.conv_seg = dsconv(in_channels[0], 1)
        self.conv_side = nn.ModuleList(dsconv(c, 1) for c in in_channels[1:])

    def decode(self, inputs: tuple[Sequence[Tensor], Sequence[Tensor]]) -> list[Tensor]:
        """Return fused features, finest first, for the features of image and depth map."""
        rgb, depth = (self._transform_inputs(feats) for feats in inputs)
        seed = self.seed(torch.cat([rgb[-1], depth[-1]], 1))
        rgb, depth = (self.decoders['rgb'](rgb, depth[-1]), self.decoders['depth'](depth, rgb[-1]))
        fused = [self.fusions[-1](rgb[-1], depth[-1], seed)]
        for level in range(len(rgb) - 2, -1, -1):
            prior = resize_like(self.priors[level](fused[0]), rgb[level].shape[2:])
            fused.insert(0, self.fusions[level](rgb[level], depth[level], prior))
        return fused

    def forward(self, inputs: tuple[Sequence[Tensor], Sequence[Tensor]]) -> tuple[Tensor, ...]:
        """Return logit maps (N, 1, H, W) of all levels at ``stride`` times the finest size."""
        maps = super().forward(inputs)
        size = [self.stride * side for side in maps[0].shape[2:]]
        return tuple(resize_like(logits, size) for logits in maps)
