"""MobileNetV3-Large with the layers of PaddleClas's ImageNet release."""

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
    """Squeeze-and-excitation with ``channels // 4`` hidden channels and hard sigmoid of slope 0.2.

    Args:
        channels (int): Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // 4, 1)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of (N, C, H, W)."""
        scale = self.conv2(torch.relu(self.conv1(x.mean((2, 3), keepdim=True))))
        return x * (0.2 * scale + 0.5).clamp(0, 1)


class InvertedResidual(nn.Module):
    """Expansion (even if it does not widen), depthwise convolution, squeeze-excite, projection.

    Args:
        in_channels (int): Input channels.
        mid_channels (int): Expanded channels.
        out_channels (int): Output channels.
        kernel_size (int): Side of the depthwise kernel.
        stride (int): Stride of the depthwise convolution.
        with_se (bool): Whether to use squeeze-excite.
        act (str): Activation after expansion and depthwise convolution.
        norm_cfg (dict): Norm layer.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        with_se: bool,
        act: str,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        norm_act = dict(norm_cfg=norm_cfg, act_cfg=dict(type=act))
        self.expand_conv = ConvModule(in_channels, mid_channels, 1, **norm_act)
        self.depthwise_conv = ConvModule(
            mid_channels,
            mid_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=mid_channels,
            **norm_act,
        )
        self.se = SqueezeExcite(mid_channels) if with_se else nn.Identity()
        self.linear_conv = ConvModule(
            mid_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=None
        )
        self.with_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H / stride, W / stride)."""
        out = self.linear_conv(self.se(self.depthwise_conv(self.expand_conv(x))))
        return x + out if self.with_shortcut else out


@MODELS.register_module()
class PaddleMobileNetV3(BaseModule):
    """MobileNetV3-Large as in PaddleClas, without the final 1x1 convolution.

    Differences from mmseg's ``MobileNetV3``, which cannot load the same weights: a width factor,
    stride 32 without dilated blocks, no final convolution, symmetric padding, squeeze-excite with
    unrounded channels and slope 0.2 instead of 1/6, and expansions that do not widen.

    Args:
        widen_factor (float): Factor of all channels, which are then rounded to multiples of 8.
            SCFNet uses 0.5.
        out_indices (Sequence[int]): Blocks, counted from 0, whose outputs are returned. The default
            has strides 4, 8, 16, 32 and, at width 0.5, (16, 24, 56, 80) channels.
        norm_cfg (dict): Norm layer.
        init_cfg (dict or list[dict], optional): Default: He initialisation.

    Raises:
        ConfigError: ``out_indices`` is empty, unsorted or out of range.
    """

    def __init__(
        self,
        widen_factor: float = 0.5,
        out_indices: Sequence[int] = (2, 5, 11, 14),
        norm_cfg: dict = dict(type='BN'),  # noqa: B006
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = [
                dict(type='Kaiming', layer='Conv2d'),
                dict(type='Constant', val=1, layer='_BatchNorm'),
            ]
        super().__init__(init_cfg)
        if (
            not out_indices
            or sorted(set(out_indices)) != list(out_indices)
            or not (out_indices[0] >= 0 and out_indices[-1] < len(LARGE))
        ):
            raise ConfigError(
                f'PaddleMobileNetV3: out_indices={tuple(out_indices)} must be '
                f'increasing indices of blocks 0 to {len(LARGE) - 1}; SCFNet uses '
                '(2, 5, 11, 14)'
            )
        self.out_indices = tuple(out_indices)

        def width(channels: int) -> int:
            return make_divisible(channels * widen_factor, 8)

        channels = width(16)
        self.conv = ConvModule(
            3, channels, 3, stride=2, padding=1, norm_cfg=norm_cfg, act_cfg=dict(type='HSwish')
        )
        # No blocks after the last output: DistributedDataParallel refuses unused parameters.
        self.blocks = nn.ModuleList()
        for kernel_size, mid, out, with_se, act, stride in LARGE[: self.out_indices[-1] + 1]:
            self.blocks.append(
                InvertedResidual(
                    channels, width(mid), width(out), kernel_size, stride, with_se, act, norm_cfg
                )
            )
            channels = width(out)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the features of ``out_indices``, shallow first, for images (N, 3, H, W)."""
        x = self.conv(x)
        outs = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.out_indices:
                outs.append(x)
        return tuple(outs)
