"""Centred kernel alignment (CKA) of two batches of features, and its loss.

CKA compares how the images of a batch differ from one another in two feature spaces, which may have
different numbers of channels. Only N x N matrices (N images) are computed, never the d x d matrices
of the feature-space form.
"""

import warnings

import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.gather import gather_batches

_warned: set[str] = set()


def check_batch(num_images: int, owner: str) -> None:
    """Refuse a batch too small for CKA, and warn once about a batch of two.

    Args:
        num_images (int): Images that CKA compares, over all ranks if they are gathered.
        owner (str): Class of the loss; starts the message.

    Raises:
        ConfigError: There is one image, whose CKA is 0 / 0. With two images CKA is 1 for any
            features, which is a warning.
    """
    if num_images < 2:
        raise ConfigError(
            f'{owner}: got {num_images} image; CKA compares the images of a batch and is 0 / 0 for '
            'one image; use at least 3 images per GPU, or gather=True to compare the images of all '
            'GPUs'
        )
    if num_images == 2 and owner not in _warned:
        _warned.add(owner)
        warnings.warn(
            f'{owner}: with 2 images CKA is 1 for any features, so the loss is 0 without a '
            'gradient; use at least 3 images per GPU, or gather=True to compare the images of all '
            'GPUs',
            stacklevel=3,
        )


def full_precision(feat: Tensor) -> Tensor:
    """Return a half-precision tensor in float32, and others unchanged."""
    return feat if feat.dtype in (torch.float32, torch.float64) else feat.float()


def _product(feat: Tensor) -> Tensor:
    """Return ``X X^T``; with many rows the block below the diagonal is copied, not computed."""
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
    """``X X^T`` with one product in the backward pass, where autograd would compute two."""

    @staticmethod
    def forward(ctx, feat: Tensor) -> Tensor:
        ctx.save_for_backward(feat)
        return _product(feat)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (feat,) = ctx.saved_tensors
        return (grad + grad.transpose(-1, -2)) @ feat


def gram(feat: Tensor) -> Tensor:
    """Return the inner products of the rows of each matrix.

    Args:
        feat (Tensor): (..., N, d).

    Returns:
        Tensor: (..., N, N).
    """
    return _Gram.apply(feat)


def centre(kernel: Tensor) -> Tensor:
    """Return H K H with H = I - 1 / N: the Gram matrix of features without their batch mean.

    Args:
        kernel (Tensor): K, (..., N, N).

    Returns:
        Tensor: (..., N, N).
    """
    num = kernel.shape[-1]
    h = torch.eye(num, dtype=kernel.dtype, device=kernel.device) - 1.0 / num
    return h @ kernel @ h


def hsic(kernel_a: Tensor, kernel_b: Tensor) -> Tensor:
    """Return ``sum(HKH * HLH)``, shape (...), for uncentred Gram matrices (..., N, N)."""
    return (centre(kernel_a) * centre(kernel_b)).sum((-1, -2))


def cka_from_grams(kernel_s: Tensor, kernel_t: Tensor) -> Tensor:
    """Return the linear CKA of two sets of features, given their Gram matrices.

    ``CKA = HSIC(S, T) / sqrt(HSIC(S, S) HSIC(T, T))`` (Kornblith et al., ICML 2019, section 3).

    Args:
        kernel_s (Tensor): Gram matrices of the student's features, (..., N, N), not centred.
        kernel_t (Tensor): Gram matrices of the teacher's features, of the same shape.

    Returns:
        Tensor: (...), in [0, 1]. Where all images have equal features up to rounding (such as zeros
        after ReLU) CKA is 0 / 0; the result is then 1, without a gradient.
    """
    # Near CKA = 1 the gradient is a small difference of large terms: sharing the centred matrices
    # between the three HSIC would round it by up to 1e-3 away from the released code's.
    square_s, square_t = hsic(kernel_s, kernel_s), hsic(kernel_t, kernel_t)
    with torch.no_grad():
        # Centring equal features leaves rounding noise of about this relative size.
        noise = (32 * torch.finfo(kernel_s.dtype).eps) ** 2
        defined = (square_s > noise * kernel_s.square().sum((-1, -2))) & (
            square_t > noise * kernel_t.square().sum((-1, -2))
        )
    # The inner `where` avoids the infinite gradient of the square root at 0.
    one = torch.ones_like(square_s)
    norm = torch.where(defined, square_s, one).sqrt() * torch.where(defined, square_t, one).sqrt()
    return torch.where(defined, hsic(kernel_s, kernel_t) / norm, one)


def cka(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the linear CKA of two batches of features.

    Args:
        student (Tensor): (N, ...), N >= 2.
        teacher (Tensor): (N, ...); only N must agree.

    Returns:
        Tensor: Scalar in [0, 1]; 1 if the two differ only by a rotation and a scale.
    """
    student, teacher = full_precision(student), full_precision(teacher)
    return cka_from_grams(gram(student.flatten(1)), gram(teacher.flatten(1)))


def cka_loss_from_grams(kernel_s: Tensor, kernel_t: Tensor, eps: float = 1e-8) -> Tensor:
    """Return ``-log(|CKA| + eps)``, shape (...), for Gram matrices; 0 where undefined."""
    return -torch.log(cka_from_grams(kernel_s, kernel_t).abs() + eps)


@MODELS.register_module()
class CKALoss(nn.Module):
    """``-log(|CKA(student, teacher)| + eps)``: 0 if both relate the images to one another alike.

    Source: CSKD (Pattern Recognition Letters 180, 2024); CKA is from Kornblith et al., ICML 2019.
    Half precision is computed in float32. Deviation: where all images have equal features, CKA is
    0 / 0 and the loss is 0 without a gradient instead of NaN.

    Args:
        loss_weight (float): Factor of the loss.
        eps (float): Keeps the logarithm finite.
        gather (bool): Compare the images of all ranks, with gradients, instead of those of this
            rank (see ``mmkd_sod.utils.gather.gather_batches``).
    """

    def __init__(self, loss_weight: float = 1.0, eps: float = 1e-8, gather: bool = False) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.eps = eps
        self.gather = gather

    def forward(self, student: Tensor, teacher: Tensor, avg_factor: float | None = None) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor): Features (N, ...).
            teacher (Tensor): Features (N, ...); only N must agree with the student's. Detached.
            avg_factor (float, optional): Divides the loss.

        Returns:
            Tensor: Scalar >= 0 up to ``eps``.

        Raises:
            ConfigError: The batch sizes differ, or there is only one image.
        """
        if student.shape[0] != teacher.shape[0]:
            raise ConfigError(
                f'CKALoss: got {student.shape[0]} student and {teacher.shape[0]} teacher images; '
                'CKA needs features of the same images; pass both networks the same batch'
            )
        student = full_precision(student).flatten(1)
        teacher = full_precision(teacher.detach()).flatten(1)
        with torch.autocast(student.device.type, enabled=False):
            if self.gather:
                student, teacher = gather_batches(student, teacher)
            check_batch(student.shape[0], 'CKALoss')
            loss = cka_loss_from_grams(gram(student), gram(teacher), self.eps)
        return self.loss_weight * (loss if avg_factor is None else loss / avg_factor)
