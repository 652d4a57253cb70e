"""Deformable convolution with a factor per sample: ``modulated_deform_conv_*`` of ``mmcv._ext``.

Zhu et al., Deformable ConvNets v2, CVPR 2019, equation 1. See ``deform_conv``.
"""

import torch.nn.functional as F
from torch import Tensor

from ._sampling import plain
from .deform_conv import Geometry, convolve, gradients


def _as_read(values: Tensor, out: Tensor) -> Tensor:
    """Offsets or mask as maps of the output's size.

    The compiled operator reads larger ones so, number after number in each image, and mmdet's
    DyHead passes larger ones; its checkpoints were trained with that.
    """
    if values.shape[2:] == out.shape[2:]:
        return values
    count = values.shape[1] * out.shape[2] * out.shape[3]
    return values.flatten(1)[:, :count].reshape(*values.shape[:2], *out.shape[2:])


def _put(target: Tensor, grad: Tensor) -> None:
    """Write a gradient by what ``_as_read`` gave."""
    if target.shape != grad.shape:
        grad = F.pad(grad.flatten(1), (0, target[0].numel() - grad[0].numel()))
    target.copy_(grad.view_as(target))


def _geometry(
    images: Tensor,
    out: Tensor,
    *,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
) -> Geometry:
    return Geometry(
        (kernel_h, kernel_w),
        (stride_h, stride_w),
        (pad_h, pad_w),
        (dilation_h, dilation_w),
        group,
        deformable_group,
        images.shape[2:],
        out.shape[2:],
    )


@plain
def modulated_deform_conv_forward(
    images: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    *,
    with_bias: bool,
    **geometry,
) -> None:
    """Write the convolution of images (N, C, H, W) into ``output`` (N, O, Ho, Wo)."""
    output.copy_(
        convolve(
            images,
            weight,
            _as_read(offset, output),
            _as_read(mask, output),
            _geometry(images, output, **geometry),
        )
    )
    if with_bias:
        output.add_(bias.view(-1, 1, 1))


@plain
def modulated_deform_conv_backward(
    images: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    *,
    with_bias: bool,
    **geometry,
) -> None:
    """Write the gradients by images, offsets and mask; add those by kernel and bias."""
    grads = gradients(
        images,
        weight,
        _as_read(offset, grad_output),
        _as_read(mask, grad_output),
        grad_output,
        _geometry(images, grad_output, **geometry),
        by_inputs=True,
        by_weight=True,
    )
    grad_input.copy_(grads[0])
    _put(grad_offset, grads[1])
    _put(grad_mask, grads[2])
    grad_weight.add_(grads[3])
    if with_bias:
        grad_bias.add_(grad_output.sum((0, 2, 3)))


OPERATORS = dict(
    modulated_deform_conv_forward=modulated_deform_conv_forward,
    modulated_deform_conv_backward=modulated_deform_conv_backward,
)
