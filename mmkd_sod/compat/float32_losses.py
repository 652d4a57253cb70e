"""Losses of mmdet that fail in mixed precision.

TOOD, AutoAssign and FreeAnchor compute the binary cross entropy of probabilities, which autocast
refuses on a GPU; VFNet writes float32 into a tensor of half precision.
"""

import functools
import importlib

import torch

from .entry import Entry

_HEADS = dict(
    autoassign_head='AutoAssignHead',
    free_anchor_retina_head='FreeAnchorRetinaHead',
    tood_head='TOODHead',
    vfnet_head='VFNetHead',
)
_FOLDER = 'mmdet.models.dense_heads'
_HALF = (torch.float16, torch.bfloat16)


def _wide(value):
    """Return tensors of half precision in float32, also in lists and tuples."""
    if isinstance(value, (list, tuple)):
        return type(value)(_wide(item) for item in value)
    half = isinstance(value, torch.Tensor) and value.dtype in _HALF
    return value.float() if half else value


def _in_float32(plain):
    @functools.wraps(plain)
    def loss_by_feat(self, cls_scores, *args, **kwargs):
        kind = cls_scores[0].device.type
        if not torch.is_autocast_enabled(kind):
            return plain(self, cls_scores, *args, **kwargs)
        with torch.autocast(kind, enabled=False):
            return plain(self, _wide(cls_scores), *_wide(args), **kwargs)

    return loss_by_feat


def compute_in_float32() -> None:
    """Compute the losses of these heads in float32 where autocast is on."""
    for module, name in _HEADS.items():
        head = getattr(importlib.import_module(f'{_FOLDER}.{module}'), name)
        head.loss_by_feat = _in_float32(head.loss_by_feat)


ENTRY = Entry(
    name='float32_losses',
    packages=('mmdet', 'onedl-mmdetection'),
    versions='>=3.0,<4',
    attributes={f'{_FOLDER}.{module}:{name}.loss_by_feat': None for module, name in _HEADS.items()},
    why='losses of TOOD, AutoAssign, FreeAnchor and VFNet fail in mixed precision',
    until='an mmdet that computes these losses in float32',
    patch=compute_in_float32,
    after=_FOLDER,
)
