"""Channel attention: every channel adds those that are least like it (CSKD's CAM)."""
import torch
from torch import Tensor

from .cka import gram


def channel_weights(feat: Tensor, tau: float) -> Tensor:
    """Which channels each channel attends to: ``softmax((rowmax(E) - E) / tau)``, ``E = X X^T``.

    Args:
        feat (Tensor): (N, C, L), L positions.
        tau (float): Temperature, above 0.

    Returns:
        Tensor: (N, C, C); rows sum to 1.
    """
    energy = gram(feat)
    # The maximum is a shift that the softmax undoes: it needs no gradient.
    return torch.softmax((energy.detach().amax(-1, keepdim=True) - energy) / tau, -1)


def channel_attention(feat: Tensor, gamma: Tensor, tau: float = 2.0) -> Tensor:
    """``gamma * A X + X``, A the weights of :func:`channel_weights`.

    Source: CSKD (Pattern Recognition Letters 180, 2024): the channel attention of DANet (CVPR 2019)
    with a temperature.

    Args:
        feat (Tensor): (N, C, H, W), float32 or float64.
        gamma (Tensor): A scalar.
        tau (float): Temperature, above 0.

    Returns:
        Tensor: (N, C, H, W), contiguous.
    """
    flat = feat.flatten(2)
    return (gamma * (channel_weights(flat, tau) @ flat) + flat).view(feat.shape)
