"""Centred kernel alignment (CKA) of two batches of features, and its loss.

CKA compares how the images of a batch differ from one another in two feature spaces, so that the
two may have different numbers of channels. It only ever needs N x N matrices (N images); the d x d
matrices of the feature-space form are never made.
"""
import warnings

import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.gather import gather_batch

_warned = set()


def check_batch(num_images: int, owner: str) -> None:
    """Refuse a batch on which CKA says nothing.

    Args:
        num_images (int): Images that CKA sees, over all ranks if they are gathered.
        owner (str): Who asks; begins the message.

    Raises:
        ConfigError: If there is one image: CKA is 0 / 0. With two it is 1 whatever the features
            are, which is said once, as a warning.
    """
    if num_images < 2:
        raise ConfigError(
            f'{owner}: CKA of {num_images} image is 0 / 0, it compares the images of a batch with '
            'one another; use at least 3 images per GPU, or gather=True to compare those of all '
            'GPUs')
    if num_images == 2 and owner not in _warned:
        _warned.add(owner)
        warnings.warn(
            f'{owner}: with 2 images CKA is 1 for any features, so that the loss is 0 and has no '
            'gradient; use at least 3 images per GPU, or gather=True to compare those of all GPUs',
            stacklevel=3)


def full_precision(feat: Tensor) -> Tensor:
    """float16 and bfloat16 become float32; float32 and float64 stay as they are."""
    return feat if feat.dtype in (torch.float32, torch.float64) else feat.float()


def _product(feat: Tensor) -> Tensor:
    """``X X^T``; of many rows the corner below the diagonal is copied, not computed."""
    rows = feat.shape[-2]
    if rows < 256:
        return feat @ feat.transpose(-1, -2)
    half = rows // 2
    upper, lower = feat[..., :half, :], feat[..., half:, :]
    out = feat.new_empty(*feat.shape[:-1], rows)
    out[..., :half, :half] = _product(upper)
    out[..., half:, half:] = _product(lower)
    out[..., :half, half:] = upper @ lower.transpose(-1, -2)
    out[..., half:, :half] = out[..., :half, half:].transpose(-1, -2)
    return out


class _Gram(torch.autograd.Function):
    """``X X^T``. Autograd alone would multiply the feature twice in the backward pass."""

    @staticmethod
    def forward(ctx, feat: Tensor) -> Tensor:
        ctx.save_for_backward(feat)
        return _product(feat)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        feat, = ctx.saved_tensors
        return (grad + grad.transpose(-1, -2)) @ feat


def gram(feat: Tensor) -> Tensor:
    """Inner products of the rows of each matrix.

    Args:
        feat (Tensor): (..., N, d).

    Returns:
        Tensor: (..., N, N).
    """
    return _Gram.apply(feat)


def centre(kernel: Tensor) -> Tensor:
    """H K H with H = I - 1 / N: the Gram matrix of features whose mean over the batch is removed.

    Args:
        kernel (Tensor): (..., N, N).
    """
    num = kernel.shape[-1]
    h = torch.eye(num, dtype=kernel.dtype, device=kernel.device) - 1. / num
    return h @ kernel @ h


def hsic(kernel_a: Tensor, kernel_b: Tensor) -> Tensor:
    """``sum(HKH * HLH)`` of Gram matrices (..., N, N), not centred; (...)."""
    return (centre(kernel_a) * centre(kernel_b)).sum((-1, -2))


def cka_from_grams(kernel_s: Tensor, kernel_t: Tensor) -> Tensor:
    """Linear CKA of two sets of features, given their Gram matrices.

    ``CKA = HSIC(S, T) / sqrt(HSIC(S, S) HSIC(T, T))`` (Kornblith et al., ICML 2019, section 3).

    Args:
        kernel_s (Tensor): Gram matrices of the student's features, (..., N, N), not centred.
        kernel_t (Tensor): The same of the teacher's.

    Returns:
        Tensor: (...), between 0 and 1. Where all images have the same features up to rounding, for
        example in a block in which ReLU left nothing, CKA is 0 / 0; it is given as 1 there, without
        a gradient.
    """
    # Every HSIC centres anew, which costs nothing at this size: near CKA = 1 the gradient is a
    # small difference of large terms, and sharing the centred matrices rounds it by up to 1e-3 away
    # from the released program's.
    square_s, square_t = hsic(kernel_s, kernel_s), hsic(kernel_t, kernel_t)
    with torch.no_grad():
        # What centring leaves of equal features is rounding noise of about this relative size.
        noise = (32 * torch.finfo(kernel_s.dtype).eps)**2
        defined = ((square_s > noise * kernel_s.square().sum((-1, -2))) &
                   (square_t > noise * kernel_t.square().sum((-1, -2))))
    # The inner `where` keeps the square root of 0, whose gradient is infinite, out of the way.
    one = torch.ones_like(square_s)
    norm = torch.where(defined, square_s, one).sqrt() * torch.where(defined, square_t, one).sqrt()
    return torch.where(defined, hsic(kernel_s, kernel_t) / norm, one)


def cka(student: Tensor, teacher: Tensor) -> Tensor:
    """Linear CKA of two batches of features.

    Args:
        student (Tensor): (N, ...), N at least 2.
        teacher (Tensor): (N, ...); only N must agree.

    Returns:
        Tensor: A scalar between 0 and 1; 1 if the two differ by a rotation and a scale only.
    """
    student, teacher = full_precision(student), full_precision(teacher)
    return cka_from_grams(gram(student.flatten(1)), gram(teacher.flatten(1)))


def cka_loss_from_grams(kernel_s: Tensor, kernel_t: Tensor, eps: float = 1e-8) -> Tensor:
    """``-log(|CKA| + eps)`` for Gram matrices (..., N, N); 0 where CKA is not defined."""
    return -torch.log(cka_from_grams(kernel_s, kernel_t).abs() + eps)


@MODELS.register_module()
class CKALoss(nn.Module):
    """``-log(|CKA(student, teacher)| + eps)``: 0 when the two tell the images apart alike.

    Source: CSKD (Pattern Recognition Letters 180, 2024); CKA is from Kornblith et al., ICML 2019.
    The teacher is detached. Half precision is computed in float32. Where all images have the same
    features CKA is 0 / 0; the loss is then 0, without a gradient, instead of NaN (a deviation).

    Args:
        loss_weight (float): Multiplies the loss.
        eps (float): Keeps the logarithm finite.
        gather (bool): Compare the images of all ranks, with their gradients, instead of those of
            this rank alone (see :func:`mmkd_sod.utils.gather.gather_batch`).
    """

    def __init__(self, loss_weight: float = 1.0, eps: float = 1e-8, gather: bool = False) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.eps = eps
        self.gather = gather

    def forward(self, student: Tensor, teacher: Tensor,
                avg_factor: float | None = None) -> Tensor:
        """
        Args:
            student (Tensor): Features (N, ...), any shape behind N.
            teacher (Tensor): Features (N, ...); only N must agree with the student's.
            avg_factor (float, optional): Divides the loss.

        Returns:
            Tensor: A scalar, at least 0 up to ``eps``.

        Raises:
            ConfigError: If the two batches differ, or CKA sees one image only.
        """
        if student.shape[0] != teacher.shape[0]:
            raise ConfigError(
                'CKALoss: student and teacher must see the same images, got '
                f'{student.shape[0]} and {teacher.shape[0]}; feed both with the same batch')
        student = full_precision(student).flatten(1)
        teacher = full_precision(teacher.detach()).flatten(1)
        with torch.autocast(student.device.type, enabled=False):
            if self.gather:
                student, teacher = gather_batch(student), gather_batch(teacher)
            check_batch(student.shape[0], 'CKALoss')
            loss = cka_loss_from_grams(gram(student), gram(teacher), self.eps)
        return self.loss_weight * (loss if avg_factor is None else loss / avg_factor)
