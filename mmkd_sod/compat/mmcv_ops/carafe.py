"""Content-aware upsampling: ``carafe_*`` and ``carafe_naive_*`` of ``mmcv._ext``.

Wang et al., CARAFE, ICCV 2019, equation 2: each output pixel is a weighted sum of the neighbourhood
of the input pixel it lies in, with weights of its own.
"""

import torch
from torch import Tensor

from ._sampling import plain, to_maps, to_rows, weighted_rows


def _reassemble(
    features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> Tensor:
    """Output (N, C, H * scale, W * scale), differentiable by features and masks."""
    (number, channels, height, width), reach = features.shape, kernel_size // 2
    near = torch.arange(-reach, reach + 1, device=features.device)

    def neighbours(size: int) -> Tensor:
        # Of each output pixel (size * scale, kernel).
        pixel = torch.arange(size * scale_factor, device=features.device) // scale_factor
        return pixel.unsqueeze(1) + near

    y, x = neighbours(height)[:, None, :, None], neighbours(width)[None, :, None, :]
    inside = ((y >= 0) & (y < height) & (x >= 0) & (x < width)).flatten(2)
    index = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(2)
    # (N, rows, columns, groups, kernel elements) from here on.
    image = torch.arange(number, device=features.device).view(-1, 1, 1, 1, 1) * (height * width)
    group = torch.arange(group_size, device=features.device).unsqueeze(1)
    index = ((index.unsqueeze(2) + image) * group_size + group).int()
    weight = masks.unflatten(1, (group_size, -1)).permute(0, 3, 4, 1, 2)
    weight = weight.where(inside.unsqueeze(2), 0)
    sums = weighted_rows(to_rows(features, group_size), index.flatten(0, 3), weight.flatten(0, 3))
    return to_maps(sums, (number, channels, height * scale_factor, width * scale_factor))


def _gradients(
    grad_output: Tensor,
    features: Tensor,
    masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    **sizes,
) -> None:
    with torch.enable_grad():
        leaves = [one.detach().requires_grad_() for one in (features, masks)]
        output = _reassemble(*leaves, **sizes)
    grads = torch.autograd.grad(output, leaves, grad_output)
    grad_input.copy_(grads[0])
    grad_masks.copy_(grads[1])


@plain
def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    *,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write features (N, C, H, W), upsampled, into ``output`` (N, C, H * scale, W * scale).

    Args:
        masks (Tensor): Weights (N, groups * kernel_size², H * scale, W * scale).
        kernel_size (int): Side of the neighbourhood; pixels outside the map are zero.
        group_size (int): Groups of channels, each with weights of its own.
        scale_factor (int): Output pixels per input pixel along each axis.
    """
    output.copy_(_reassemble(features, masks, kernel_size, group_size, scale_factor))


@plain
def carafe_naive_backward(
    grad_output: Tensor,
    features: Tensor,
    masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    *,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write the gradients by features and masks."""
    _gradients(
        grad_output,
        features,
        masks,
        grad_input,
        grad_masks,
        kernel_size=kernel_size,
        group_size=group_size,
        scale_factor=scale_factor,
    )


@plain
def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    *,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """``carafe_naive_forward``; ``rfeatures`` keeps the features for the gradients."""
    rfeatures.copy_(features)
    output.copy_(_reassemble(features, masks, kernel_size, group_size, scale_factor))


@plain
def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    *,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Write the gradients by features and masks; the buffers are the compiled operator's."""
    _gradients(
        grad_output,
        rfeatures,
        masks,
        grad_input,
        grad_masks,
        kernel_size=kernel_size,
        group_size=group_size,
        scale_factor=scale_factor,
    )


OPERATORS = dict(
    carafe_naive_forward=carafe_naive_forward,
    carafe_naive_backward=carafe_naive_backward,
    carafe_forward=carafe_forward,
    carafe_backward=carafe_backward,
)
