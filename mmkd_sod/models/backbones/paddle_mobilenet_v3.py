"""MobileNetV3-Large as PaddleClas released it for ImageNet."""
from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.models.utils import make_divisible
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS

# Kernel, expanded channels, output channels, squeeze-excite, activation, stride (MobileNetV3,
# ICCV 2019, table 1).
LARGE = (
    (3, 16, 16, False, 'ReLU', 1),
    (3, 64, 24, False, 'ReLU', 2),
    (3, 72, 24, False, 'ReLU', 1),
    (5, 72, 40, True, 'ReLU', 2),
    (5, 120, 40, True, 'ReLU', 1),
    (5, 120, 40, True, 'ReLU', 1),
    (3, 240, 80, False, 'HSwish', 2),
    (3, 200, 80, False, 'HSwish', 1),
    (3, 184, 80, False, 'HSwish', 1),
    (3, 184, 80, False, 'HSwish', 1),
    (3, 480, 112, True, 'HSwish', 1),
    (3, 672, 112, True, 'HSwish', 1),
    (5, 672, 160, True, 'HSwish', 2),
    (5, 960, 160, True, 'HSwish', 1),
    (5, 960, 160, True, 'HSwish', 1),
)


class SqueezeExcite(nn.Module):
    """Scale each channel by a hard sigmoid of slope 0.2 of its image-wide mean.

    Args:
        channels (int): Channels in and out; ``channels // 4`` in between, not rounded.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // 4, 1)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.conv2(torch.relu(self.conv1(x.mean((2, 3), keepdim=True))))
        return x * (0.2 * scale + 0.5).clamp(0, 1)


class InvertedResidual(nn.Module):
    """Expand (always, even when it does not widen), depthwise, squeeze-excite, project.

    Args:
        in_channels, mid_channels, out_channels (int): Channels before, within and after.
        kernel_size (int): Side of the depthwise kernel.
        stride (int): Of the depthwise convolution.
        with_se (bool): Whether to squeeze and excite.
        act (str): Activation after expansion and depthwise convolution.
        norm_cfg (dict): Norm layer.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int, kernel_size: int,
                 stride: int, with_se: bool, act: str, norm_cfg: dict) -> None:
        super().__init__()
        norm_act = dict(norm_cfg=norm_cfg, act_cfg=dict(type=act))
        self.expand_conv = ConvModule(in_channels, mid_channels, 1, **norm_act)
        self.depthwise_conv = ConvModule(
            mid_channels, mid_channels, kernel_size, stride=stride, padding=kernel_size // 2,
            groups=mid_channels, **norm_act)
        self.se = SqueezeExcite(mid_channels) if with_se else nn.Identity()
        self.linear_conv = ConvModule(mid_channels, out_channels, 1, norm_cfg=norm_cfg,
                                      act_cfg=None)
        self.with_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.linear_conv(self.se(self.depthwise_conv(self.expand_conv(x))))
        return x + out if self.with_shortcut else out


@MODELS.register_module()
class PaddleMobileNetV3(BaseModule):
    """MobileNetV3-Large with the details of PaddleClas, without the final 1x1 convolution.

    mmseg's ``MobileNetV3`` cannot stand in: it has no width, stops at stride 8 with dilated blocks,
    keeps the final convolution, pads strided convolutions on one side, rounds the channels inside
    squeeze-excite to multiples of 8, gates them with a slope of 1/6 (0.2 here), and drops an
    expansion that does not widen.

    Args:
        widen_factor (float): Multiplies all channels, which are then rounded to multiples of 8.
            SCFNet takes 0.5.
        out_indices (Sequence[int]): Blocks, counted from 0, whose outputs are returned. The default
            gives strides 4, 8, 16, 32, with (16, 24, 56, 80) channels at width 0.5.
        norm_cfg (dict): Norm layer.
        init_cfg (dict or list[dict], optional): He initialisation by default.

    Raises:
        ConfigError: ``out_indices`` is empty, unsorted or names a block there is not.
    """

    def __init__(self, widen_factor: float = 0.5, out_indices: Sequence[int] = (2, 5, 11, 14),
                 norm_cfg: dict = dict(type='BN'), init_cfg: dict | list | None = None) -> None:  # noqa: B006
        if init_cfg is None:
            init_cfg = [dict(type='Kaiming', layer='Conv2d'),
                        dict(type='Constant', val=1, layer='_BatchNorm')]
        super().__init__(init_cfg)
        if not out_indices or sorted(set(out_indices)) != list(out_indices) or not (
                out_indices[0] >= 0 and out_indices[-1] < len(LARGE)):
            raise ConfigError(f'PaddleMobileNetV3: out_indices={tuple(out_indices)} must be rising '
                              f'indices of blocks 0 to {len(LARGE) - 1}')
        self.out_indices = tuple(out_indices)

        def width(channels: int) -> int:
            return make_divisible(channels * widen_factor, 8)

        channels = width(16)
        self.conv = ConvModule(3, channels, 3, stride=2, padding=1, norm_cfg=norm_cfg,
                               act_cfg=dict(type='HSwish'))
        # Blocks behind the last output would be trained for nothing.
        self.blocks = nn.ModuleList()
        for kernel_size, mid, out, with_se, act, stride in LARGE[:self.out_indices[-1] + 1]:
            self.blocks.append(InvertedResidual(channels, width(mid), width(out), kernel_size,
                                                stride, with_se, act, norm_cfg))
            channels = width(out)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of ``out_indices``, shallow first, of an image batch (N, 3, H, W)."""
        x = self.conv(x)
        outs = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)
