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
    # Those of this package return logits, also where they are no heads of mmseg.
    if not type(head).__module__.startswith('mmkd_sod.'):
        check_logits(head, role)
    return head


def check_logits(head: Any, role: str) -> None:
    """Refuse a decode head whose outputs are not one map of logits.

    Heads of mask queries and of points have their own ``predict``: they return probabilities, or
    need more than the features.

    Args:
        head (nn.Module): A decode head.
        role (str): Name of the model or tool, for the message.

    Raises:
        ConfigError: The head does not predict as mmseg's ``BaseDecodeHead``.
    """
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    kind: Any = type(head)
    if (
        not isinstance(head, BaseDecodeHead)
        # Heads of this package with several maps have `decode`, and predict from the finest.
        or not (kind.predict is BaseDecodeHead.predict or hasattr(head, 'decode'))
        or kind.predict_by_feat is not BaseDecodeHead.predict_by_feat
    ):
        raise ConfigError(
            f"{role}: decode_head {kind.__name__} does not predict as mmseg's BaseDecodeHead; "
            'use a segmentor whose decode head does'
        )


def check_repeatable(head: nn.Module, role: str) -> None:
    """Refuse a decode head whose outputs are drawn at random, such as SegNeXt's.

    Raises:
        ConfigError: The head starts from random numbers in every forward.
    """
    if any(getattr(module, 'rand_init', False) for module in head.modules()):
        raise ConfigError(
            f'{role}: decode_head {type(head).__name__} starts its matrix decomposition from '
            'random numbers in every forward, so that its outputs differ from run to run; set '
            'decode_head.ham_kwargs.rand_init=False and train with it'
        )


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
