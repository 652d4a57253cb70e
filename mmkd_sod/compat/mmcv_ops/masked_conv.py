"""Convolution at some pixels only: ``masked_im2col_forward`` and ``masked_col2im_forward``."""

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(
    maps: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    data_col: Tensor,
    *,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Write what the kernel covers at pixels (M,) of one image into ``data_col`` (C * kernel, M).

    Args:
        maps (Tensor): (1, C, H, W).
        mask_h_idx, mask_w_idx (Tensor): Rows and columns of the output pixels.
    """
    padded = F.pad(maps[0], (pad_w, pad_w, pad_h, pad_h))
    down, right = (torch.arange(size, device=maps.device) for size in (kernel_h, kernel_w))
    covered = padded[:, mask_h_idx + down.view(-1, 1, 1), mask_w_idx + right.view(-1, 1)]
    data_col.copy_(covered.flatten(0, 2))


def masked_col2im_forward(
    masked_output: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    output: Tensor,
    *,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Write columns (C, M) to pixels (M,) of one image's ``output`` (1, C, H, W)."""
    output[0, :, mask_h_idx, mask_w_idx] = masked_output.to(output.dtype)


OPERATORS = dict(
    masked_im2col_forward=masked_im2col_forward, masked_col2im_forward=masked_col2im_forward
)
