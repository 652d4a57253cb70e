"""Functions on the saliency maps of mmseg segmentors."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError

from .submodules import last_head


def resize_like(x: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Resize (N, C, h, w) bilinearly to ``size``; return maps of that size unchanged."""
    if x.shape[2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=align_corners)


def saliency_head(model: BaseModel, role: str) -> nn.Module:
    """Return the decode head that predicts the saliency map, in a cascade the last one.

    Args:
        model (BaseModel): A segmentor of mmseg.
        role (str): Name of the model, for the message.

    Raises:
        ConfigError: There is no decode head, or it has neither one output channel nor two.
    """
    head: Any = last_head(model, 'decode_head')
    channels = getattr(head, 'out_channels', None)
    if channels not in (1, 2):
        what = (
            f'has {channels} output channels'
            if channels
            else 'has no decode_head with out_channels'
        )
        raise ConfigError(
            f'{role} ({type(model).__name__}) {what}; saliency needs a segmentor whose decode_head '
            'has out_channels=1 (num_classes=2, threshold=0.5) or 2; change decode_head'
        )
    return head


def saliency_logits(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Return the saliency logits of each output map of a decode head.

    Args:
        output (Tensor | Sequence[Tensor]): (N, 1, h, w) or (N, 2, h, w), one map or several.

    Returns:
        list[Tensor]: (N, 1, h, w) each. Two channels become their difference, whose sigmoid is the
        softmax of the second channel.
    """
    maps = [output] if isinstance(output, Tensor) else list(output)
    return [x if x.shape[1] == 1 else x[:, 1:] - x[:, :1] for x in maps]
