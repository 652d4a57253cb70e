"""Decoder of SCFNet for salient object detection."""
from collections.abc import Sequence

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.saliency import resize_like
from mmkd_sod.registry import MODELS

from .multi_map_head import MultiMapHead


class SemanticContextFusion(nn.Module):
    """The fusion module of SCFNet: a level, the level below it and the deepest one.

    ``hd = a(high + high * deep)``, ``lh = b(low + low * high)``, ``d(lh + hd)``, each resized to
    where it goes. The paper's text multiplies ``low`` by ``deep``; the released program multiplies
    it by ``high``, which its weights need and which is done here.

    Args:
        channels (int): Channels in and out.
        conv_cfg, norm_cfg, act_cfg: As in mmcv's ``ConvModule``.
    """

    def __init__(self, channels: int, **cfg) -> None:
        super().__init__()
        self.high_conv, self.low_conv, self.out_conv = (
            ConvModule(channels, channels, 3, padding=1, bias=True, **cfg) for _ in range(3))

    def forward(self, low: Tensor, high: Tensor, deep: Tensor) -> Tensor:
        """Fuse (N, c, H, W), (N, c, h, w) and the deepest feature to (N, c, H, W)."""
        high_deep = self.high_conv(high + high * resize_like(deep, high.shape[2:]))
        low_high = self.low_conv(low + low * resize_like(high, low.shape[2:]))
        return self.out_conv(low_high + resize_like(high_deep, low.shape[2:]))


@MODELS.register_module()
class SCFHead(MultiMapHead):
    """Decoder of SCFNet (KD-SCFNet, ECCV 2022): one saliency map a level, the finest is the answer.

    Every feature is brought to ``channels`` by a 3x3 convolution, the deepest also passes one of
    dilation 5; :class:`SemanticContextFusion` then goes from deep to shallow, and a 3x3 convolution
    makes a logit map of each level: ``conv_seg`` the finest one, ``conv_side`` the others.

    Losses are named by the pyramid level as in the paper: ``<loss_name>_m2`` is the finest map's.

    Args:
        in_channels (Sequence[int]): Channels of the features, shallow first; at least two.
        channels (int): Channels of the decoder: 16 for MobileNetV3 at half width, else 64.
        level_weights (Sequence[float]): Weight of each level's loss, finest first.
        num_classes (int): 2, background and salient, as mmseg counts the classes of one map.
        out_channels (int): 1, the logit of "salient".
        threshold (float): A pixel is salient where its probability exceeds it.
        loss_decode (dict | Sequence[dict]): Loss of one level's map.
        norm_cfg (dict): Norm layer.
        kwargs: As for mmseg's ``BaseDecodeHead``.

    Raises:
        ConfigError: ``level_weights`` and ``in_channels`` differ in number, or ``out_channels``
            is not 1.
    """

    first_level = 2

    def __init__(self,
                 in_channels: Sequence[int] = (16, 24, 56, 80),
                 channels: int = 16,
                 level_weights: Sequence[float] = (1, 1 / 2, 1 / 4, 1 / 8),
                 num_classes: int = 2,
                 out_channels: int = 1,
                 threshold: float = 0.5,
                 dropout_ratio: float = 0.,
                 loss_decode: dict | Sequence[dict] = dict(  # noqa: B006
                     type='mmkd_sod.StructurePolishingLoss'),
                 norm_cfg: dict = dict(type='BN'),  # noqa: B006
                 **kwargs) -> None:
        levels = len(in_channels)
        if levels < 2 or len(level_weights) != levels or out_channels != 1:
            raise ConfigError(
                f'SCFHead needs two levels or more, a weight for each and out_channels=1, got '
                f'in_channels={tuple(in_channels)}, level_weights={tuple(level_weights)}, '
                f'out_channels={out_channels}')
        kwargs.setdefault('in_index', list(range(levels)))
        super().__init__(
            in_channels=list(in_channels), channels=channels, num_classes=num_classes,
            out_channels=out_channels, threshold=threshold, dropout_ratio=dropout_ratio,
            loss_decode=loss_decode, norm_cfg=norm_cfg, input_transform='multiple_select',
            **kwargs)
        self.level_weights = tuple(level_weights)
        # The released convolutions have a bias although a norm layer follows.
        cfg = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.lateral_convs = nn.ModuleList(
            ConvModule(c, channels, 3, padding=1, bias=True, **cfg) for c in in_channels)
        self.context_conv = ConvModule(channels, channels, 3, padding=5, dilation=5, bias=True,
                                       **cfg)
        self.fusions = nn.ModuleList(
            SemanticContextFusion(channels, **cfg) for _ in range(levels - 1))
        self.conv_seg = nn.Conv2d(channels, 1, 3, padding=1)
        self.conv_side = nn.ModuleList(
            nn.Conv2d(channels, 1, 3, padding=1) for _ in range(levels - 1))

    def decode(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Decoder features before the classifying convolutions, finest first."""
        feats = [conv(feat) for conv, feat in
                 zip(self.lateral_convs, self._transform_inputs(inputs), strict=True)]
        feats[-1] = self.context_conv(feats[-1])
        for i in range(len(feats) - 2, -1, -1):
            feats[i] = self.fusions[i](feats[i], feats[i + 1], feats[-1])
        return feats
