"""Bringing the student's tower features to the scale of the teacher's."""

import torch
from torch import Tensor

# Added to the student's standard deviation, which it is divided by.
EPS = 1e-6
# Inside the square root of the normalising kernel; keeps a constant channel finite.
_EPS_VAR = EPS**2


def _standardise(feat: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each channel with zero mean and a biased deviation of one; its mean and unbiased deviation.

    torch's batch-norm kernel does this in one pass forward and one back, several times faster than
    ``torch.std_mean`` over the same axes on CPU.
    """
    count = feat.numel() // feat.shape[1]
    normal, mean, inverse = torch.native_batch_norm(
        feat.float(), None, None, None, None, True, 0., _EPS_VAR)
    variance = (inverse.detach().pow(-2) - _EPS_VAR).clamp(min=0)
    # A single value a channel has no deviation: 0, where the formula would be 0 / 0.
    std = (variance * (count / (count - 1) if count > 1 else 0.)).sqrt()
    return normal, mean.detach().view(1, -1, 1, 1), std.view(1, -1, 1, 1)


@torch.no_grad()
def channel_stats(feat: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased standard deviation of each channel.

    Args:
        feat (Tensor): (N, C, H, W).

    Returns:
        tuple: Mean and standard deviation, (1, C, 1, 1) each, float32, without gradient.
    """
    return _standardise(feat)[1:]


def align_scale(student: Tensor, teacher_stats: tuple[Tensor, Tensor], relu: bool) -> Tensor:
    """Standardise each channel of the student's feature and give it the teacher's scale.

    Source: CrossKD (arXiv 2306.11369), as its program does it: statistics over (N, H, W), unbiased
    standard deviation, no learned part. Gradient flows through the student's statistics too; what
    the 1e-6 beside the deviation adds to it (a relative 1e-6 / deviation) is left out.

    Args:
        student (Tensor): (N, C, H, W).
        teacher_stats (tuple): What :func:`channel_stats` gives for the teacher's feature; N, H and
            W of that feature may differ, C may not.
        relu (bool): Apply ReLU to the result: wanted where the feature follows a ReLU.

    Returns:
        Tensor: (N, C, H, W), of the student's dtype. A channel that is constant, up to
        rounding, becomes the teacher's mean and gets no gradient.
    """
    normal, mean, std = _standardise(student)
    teacher_mean, teacher_std = teacher_stats
    count = student.numel() // student.shape[1]
    biased = (std**2 * (max(count - 1, 1) / count) + _EPS_VAR).sqrt()
    # A channel that varies by no more than its rounding carries nothing but noise.
    scale = teacher_std * biased / (std + EPS) * (std > EPS * mean.abs())
    aligned = torch.addcmul(teacher_mean, normal, scale)
    aligned = aligned.relu_() if relu else aligned
    return aligned.to(student.dtype)
