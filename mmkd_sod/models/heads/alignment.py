"""Bringing the student's tower features to the scale of the teacher's."""

import torch
from torch import Tensor

# Added to the student's standard deviation, which it is divided by.
EPS = 1e-6


def channel_stats(feat: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased standard deviation of each channel.

    Args:
        feat (Tensor): (N, C, H, W).

    Returns:
        tuple: Mean and standard deviation, (1, C, 1, 1) each, float32; the deviation of a single
        value (one image, one location) is 0.
    """
    if feat.shape[0] * feat.shape[2] * feat.shape[3] == 1:  # torch would say NaN
        return feat.float(), torch.zeros_like(feat, dtype=torch.float)
    std, mean = torch.std_mean(feat.float(), dim=(0, 2, 3), keepdim=True)
    return mean, std


def align_scale(student: Tensor, teacher_stats: tuple[Tensor, Tensor], relu: bool) -> Tensor:
    """Standardise each channel of the student's feature and give it the teacher's scale.

    Source: CrossKD (arXiv 2306.11369), as its program does it: statistics over (N, H, W), unbiased
    standard deviation, no learned part. Gradient flows through the student's statistics too.

    Args:
        student (Tensor): (N, C, H, W).
        teacher_stats (tuple): What :func:`channel_stats` gives for the teacher's feature; N, H and
            W of that feature may differ, C may not.
        relu (bool): Apply ReLU to the result: wanted where the feature follows a ReLU.

    Returns:
        Tensor: (N, C, H, W), of the student's dtype.
    """
    mean, std = channel_stats(student)
    teacher_mean, teacher_std = teacher_stats
    scale = teacher_std / (std + EPS)
    aligned = torch.addcmul(teacher_mean - mean * scale, student.float(), scale)
    aligned = aligned.relu_() if relu else aligned
    return aligned.to(student.dtype)
