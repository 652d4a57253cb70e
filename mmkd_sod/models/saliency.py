"""What saliency maps of any mmseg segmentor have in common."""
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError


def resize_like(x: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Resize (N, C, h, w) bilinearly to ``size``; a map of that size passes as it is."""
    if x.shape[2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=align_corners)


def saliency_head(model: BaseModel, role: str) -> nn.Module:
    """The decode head whose output is the model's answer.

    Args:
        model (BaseModel): A segmentor of mmseg; of a cascade the last head counts.
        role (str): Whose model it is, for the message.

    Raises:
        ConfigError: There is no decode head, or it has neither one output channel nor two.
    """
    head: Any = getattr(model, 'decode_head', None)
    if isinstance(head, nn.ModuleList):
        head = head[-1]
    channels = getattr(head, 'out_channels', None)
    if channels not in (1, 2):
        what = f'gives {channels} channels' if channels else 'has no decode_head with out_channels'
        raise ConfigError(
            f'{role} ({type(model).__name__}) {what}; saliency needs a segmentor whose decode_head '
            'has out_channels=1 (num_classes=2, threshold=0.5), or 2')
    return head


def saliency_logits(output: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """Logits of "salient" of each map that a head gives, finest first.

    Args:
        output (Tensor | Sequence[Tensor]): (N, 1, h, w) or (N, 2, h, w), or several.

    Returns:
        list[Tensor]: (N, 1, h, w) each; of two channels, whose softmax would be taken, the
        difference, whose sigmoid is the same.
    """
    maps = [output] if isinstance(output, Tensor) else list(output)
    return [x if x.shape[1] == 1 else x[:, 1:] - x[:, :1] for x in maps]
