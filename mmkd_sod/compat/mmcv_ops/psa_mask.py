"""Point-wise spatial attention masks: ``psamask_*`` of ``mmcv._ext``.

Zhao et al., PSANet, ECCV 2018, section 3.2: each pixel has weights for the places around it, which
become weights for the pixels of the map. Nothing is computed: the result is a view of the padded
weights with other strides.
"""

import torch.nn.functional as F
from torch import Tensor


def _sheared(values: Tensor, low: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Result (N, *size, H, W) at a, b, h, w: values (N, A, B, H, W) at a + h - low, b + w - low.

    Zero where that is outside.
    """
    height, width = values.shape[3:]
    padding = [
        (first, length + count - 1 - present - first)
        for first, length, count, present in zip(
            low, size, (height, width), values.shape[1:3], strict=True
        )
    ]
    padded = F.pad(values, (0, 0, 0, 0, *padding[1], *padding[0])).contiguous()
    image, down, right, row, column = padded.stride()
    return padded.as_strided(
        (len(values), *size, height, width), (image, down, right, down + row, right + column)
    )


def psamask_forward(
    masks: Tensor,
    output: Tensor,
    *,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Write the weights of pixels into ``output`` (N, H * W, H, W).

    Args:
        masks (Tensor): Weights of each pixel (N, h_mask * w_mask, H, W) for the places around it.
        psa_type (int): 0, collect: channel h * W + w of the output are the weights that pixels
            have for pixel h, w; 1, distribute: those that pixel h, w has for the pixels.
        half_h_mask, half_w_mask (int): Where the pixel itself is among the places.
    """
    size = h_feature, w_feature
    # Place = other pixel - pixel + half; counted from the last pixel, it is a sum.
    flipped = masks.unflatten(1, (h_mask, w_mask)).flip(3, 4)
    weights = _sheared(flipped, (h_feature - 1 - half_h_mask, w_feature - 1 - half_w_mask), size)
    weights = weights.flip(3, 4).flatten(3).flatten(1, 2)
    output.copy_((weights if psa_type == 0 else weights.mT).unflatten(2, size))


def psamask_backward(
    grad_output: Tensor,
    grad_input: Tensor,
    *,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Write the gradient by the masks into ``grad_input``."""
    size = h_feature, w_feature
    grads = grad_output.flatten(2)
    grads = (grads if psa_type == 0 else grads.mT).unflatten(2, size).unflatten(1, size)
    masks = _sheared(grads, (half_h_mask, half_w_mask), (h_mask, w_mask))
    grad_input.copy_(masks.flatten(1, 2))


OPERATORS = dict(psamask_forward=psamask_forward, psamask_backward=psamask_backward)
