"""Decode head of SCFNet for salient object detection."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency import resize_like
from mmkd_sod.registry import MODELS

from .multi_map_head import MultiMapHead


class SemanticContextFusion(nn.Module):
    """Fusion module of SCFNet for a level, the level below it and the deepest one.

    ``hd = a(high + high * deep)``, ``lh = b(low + low * high)``, output ``d(lh + hd)``, with
    bilinear resizing where sizes differ. Deviation: the paper's text multiplies ``low`` by
    ``deep``; as in the released code and its weights, it is multiplied by ``high`` here.

    Args:
        channels (int): Input and output channels.
        cfg: ``conv_cfg``, ``norm_cfg`` and ``act_cfg`` of mmcv's ``ConvModule``.
    """

    def __init__(self, channels: int, **cfg) -> None:
        super().__init__()
        self.high_conv, self.low_conv, self.out_conv = (
            ConvModule(channels, channels, 3, padding=1, bias=True, **cfg) for _ in range(3)
        )

    def forward(self, low: Tensor, high: Tensor, deep: Tensor) -> Tensor:
        """Fuse ``low`` (N, c, H, W), ``high`` (N, c, h, w) and ``deep`` to (N, c, H, W)."""
        high_deep = self.high_conv(high + high * resize_like(deep, high.shape[2:]))
        low_high = self.low_conv(low + low * resize_like(high, low.shape[2:]))
        return self.out_conv(low_high + resize_like(high_deep, low.shape[2:]))


@MODELS.register_module()
class SCFHead(MultiMapHead):
    """Decode head of SCFNet (KD-SCFNet, ECCV 2022) with one saliency map per level.

    A 3x3 convolution projects each feature to ``channels``, followed by one of dilation 5 for the
    deepest. ``SemanticContextFusion`` fuses them from deep to shallow, and 3x3 convolutions
    predict the logit maps: ``conv_seg`` the finest, which is the prediction, ``conv_side`` the
    others. Losses are named by the pyramid level as in the paper: ``<loss_name>_m2`` is the finest.

    Args:
        in_channels (Sequence[int]): Channels of the features, shallow first; at least two.
        channels (int): Channels of the decoder; the paper uses 16 for MobileNetV3 at half width and
            64 for other backbones.
        level_weights (Sequence[float]): Loss weight per level, finest first.
        num_classes (int): 2, mmseg's setting for one logit map; not to be changed.
        out_channels (int): 1.
        threshold (float): Probability above which a pixel is salient.
        dropout_ratio (float): Dropout before ``conv_seg``.
        loss_decode (dict | Sequence[dict]): Losses of one map.
        norm_cfg (dict): Norm layer.
        kwargs: Arguments of mmseg's ``BaseDecodeHead``.

    Raises:
        ConfigError: There are fewer than two levels, the numbers of ``level_weights`` and
            ``in_channels`` differ, or ``out_channels`` is not 1.
    """

    first_level = 2

    def __init__(
        self,
        in_channels: Sequence[int] = (16, 24, 56, 80),
        channels: int = 16,
        level_weights: Sequence[float] = (1, 1 / 2, 1 / 4, 1 / 8),
        num_classes: int = 2,
        out_channels: int = 1,
        threshold: float = 0.5,
        dropout_ratio: float = 0.0,
        loss_decode: dict | Sequence[dict] = dict(  # noqa: B006
            type='mmkd_sod.StructurePolishingLoss'
        ),
        norm_cfg: dict = dict(type='BN'),  # noqa: B006
        **kwargs,
    ) -> None:
        levels = len(in_channels)
        if levels < 2 or len(level_weights) != levels or out_channels != 1:
            raise ConfigError(
                f'SCFHead: got in_channels={tuple(in_channels)}, level_weights='
                f'{tuple(level_weights)}, out_channels={out_channels}; needs at least two levels, '
                'one weight per level and out_channels=1; change decode_head'
            )
        kwargs.setdefault('in_index', list(range(levels)))
        super().__init__(
            in_channels=list(in_channels),
            channels=channels,
            num_classes=num_classes,
            out_channels=out_channels,
            threshold=threshold,
            dropout_ratio=dropout_ratio,
            loss_decode=loss_decode,
            norm_cfg=norm_cfg,
            input_transform='multiple_select',
            **kwargs,
        )
        self.level_weights = tuple(level_weights)
        # The released convolutions have a bias although a norm layer follows.
        cfg = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.lateral_convs = nn.ModuleList(
            ConvModule(c, channels, 3, padding=1, bias=True, **cfg) for c in in_channels
        )
        self.context_conv = ConvModule(
            channels, channels, 3, padding=5, dilation=5, bias=True, **cfg
        )
        self.fusions = nn.ModuleList(
            SemanticContextFusion(channels, **cfg) for _ in range(levels - 1)
        )
        self.conv_seg = nn.Conv2d(channels, 1, 3, padding=1)
        self.conv_side = nn.ModuleList(
            nn.Conv2d(channels, 1, 3, padding=1) for _ in range(levels - 1)
        )

    def decode(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the features before the classifiers, finest first."""
        feats = [
            conv(feat)
            for conv, feat in zip(self.lateral_convs, self._transform_inputs(inputs), strict=True)
        ]
        feats[-1] = self.context_conv(feats[-1])
        for i in range(len(feats) - 2, -1, -1):
            feats[i] = self.fusions[i](feats[i], feats[i + 1], feats[-1])
        return feats
