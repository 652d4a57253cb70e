"""Operators stay on the device of their inputs and do not read results back from it.

Tensors on the device ``meta`` have no values: reading one is an error, as is mixing them with those
on a CPU. Only operators whose result's size depends on values, and RoIs' adaptive grids, need them.
"""

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import extension

from .parity import Operators, family


def on(*shapes):
    return [torch.empty(*shape, device='meta', requires_grad=True) for shape in shapes]


def whole(*shape):
    return torch.empty(*shape, device='meta', dtype=torch.long)


def rois(fields=5):
    return torch.empty(6, fields, device='meta')


SHAPES = whole(3, 2), whole(3)
# Family, module of mmcv, and what is called with leaves of which shapes.
CALLS = dict(
    deform_conv=(
        'deform_conv',
        lambda m, *leaves: m.deform_conv2d(*leaves, 1, 1, 1, 2, 4),
        [(2, 8, 5, 6), (2, 72, 5, 6), (4, 4, 3, 3)],
    ),
    modulated_deform_conv=(
        'modulated_deform_conv',
        lambda m, *leaves: m.modulated_deform_conv2d(*leaves, 1, 1, 1, 2, 4),
        [(2, 8, 5, 6), (2, 72, 5, 6), (2, 36, 5, 6), (4, 4, 3, 3), (4,)],
    ),
    roi_align=('roi_align', lambda m, x: m.roi_align(x, rois(), 3, 1.0, 2), [(2, 4, 5, 6)]),
    roi_align_max=(
        'roi_align',
        lambda m, x: m.roi_align(x, rois(), 3, 1.0, 2, 'max'),
        [(2, 4, 5, 6)],
    ),
    roi_align_rotated=(
        'roi_align_rotated',
        lambda m, x: m.roi_align_rotated(x, rois(6), 3, 1.0, 2),
        [(2, 4, 5, 6)],
    ),
    deform_roi_pool=(
        'deform_roi_pool',
        lambda m, x, offset: m.deform_roi_pool(x, rois(), offset, 3, 1.0, 2),
        [(2, 4, 5, 6), (6, 2, 3, 3)],
    ),
    ms_deform_attn=(
        'multi_scale_deform_attn',
        lambda m, value, *others: m.MultiScaleDeformableAttnFunction.apply(
            value, *SHAPES, *others, 64
        ),
        [(2, 40, 2, 4), (2, 7, 2, 3, 4, 2), (2, 7, 2, 3, 4)],
    ),
    sigmoid_focal_loss=('focal_loss', lambda m, x: m.sigmoid_focal_loss(x, whole(9)), [(9, 4)]),
    softmax_focal_loss=('focal_loss', lambda m, x: m.softmax_focal_loss(x, whole(9)), [(9, 4)]),
    carafe=(
        'carafe',
        lambda m, *leaves: m.carafe(*leaves, 3, 2, 2),
        [(2, 4, 5, 6), (2, 18, 10, 12)],
    ),
    psa_mask=('psa_mask', lambda m, x: m.psa_mask(x, 1, (5, 7)), [(2, 35, 3, 4)]),
    border_align=(
        'border_align',
        lambda m, x: m.border_align(x, torch.empty(2, 5, 4, device='meta'), 3),
        [(2, 8, 5, 6)],
    ),
)
FAMILIES = dict(
    roi_align_max='roi_align', sigmoid_focal_loss='focal_loss', softmax_focal_loss='focal_loss'
)


@pytest.mark.parametrize('name', CALLS)
def test_nothing_is_read_back(monkeypatch, name):
    module, call, shapes = CALLS[name]
    operators = Operators(module, family(FAMILIES.get(name, name)), monkeypatch)
    leaves = on(*shapes)
    output = call(operators, *leaves)
    grads = torch.autograd.grad(output.sum(), leaves)
    assert output.device.type == 'meta'
    assert [grad.shape for grad in grads] == [leaf.shape for leaf in leaves]


def test_every_family_is_known():
    assert {FAMILIES.get(name, name) for name in CALLS} <= set(extension.FAMILIES)
