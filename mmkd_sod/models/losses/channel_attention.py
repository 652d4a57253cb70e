"""Channel attention of CSKD (CAM): each channel attends to the channels least similar to it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .cka import gram


def channel_weights(feat: Tensor, tau: float) -> Tensor:
    """Return the attention weights ``softmax((rowmax(E) - E) / tau)`` with ``E = X X^T``.

    Args:
        feat (Tensor): (N, C, L), L positions.
        tau (float): Temperature, above 0.

    Returns:
        Tensor: (N, C, C); rows sum to 1.
    """
    energy = gram(feat)
    # Softmax ignores a shift, so the row maximum needs no gradient.
    return torch.softmax((energy.detach().amax(-1, keepdim=True) - energy) / tau, -1)


def attended_channels(weights: Tensor, feat: Tensor) -> Tensor:
    """Return ``weights @ feat``; without gradient support.

    The energies of large maps differ so much that the softmax is almost one-hot: about a dozen of
    512 weights exceed the rounding error of their row. On a CPU the sum over these alone is four
    times as fast as the full product, and equal to it up to rounding.

    Args:
        weights (Tensor): (N, R, C); rows sum to 1.
        feat (Tensor): (N, C, L), contiguous.

    Returns:
        Tensor: (N, R, L).
    """
    num, rows, channels = weights.shape
    if weights.device.type == 'cpu':
        # The omitted weights of a row add up to less than its rounding error.
        counts = weights > torch.finfo(weights.dtype).eps / channels
        sizes = counts.sum(-1).flatten()
        ends = sizes.cumsum(0)
        if ends[-1] * 16 < weights.numel():
            image, _, channel = counts.nonzero(as_tuple=True)
            found = F.embedding_bag(
                image * channels + channel,
                feat.flatten(0, 1),
                ends - sizes,
                mode='sum',
                per_sample_weights=weights[counts],
            )
            return found.view(num, rows, -1)
    return weights @ feat


def channel_attention(feat: Tensor, gamma: Tensor, tau: float = 2.0) -> Tensor:
    """Return ``gamma * A X + X`` with the weights A of ``channel_weights``.

    Source: CSKD (Pattern Recognition Letters 180, 2024): the channel attention of DANet (CVPR 2019)
    with a temperature.

    Args:
        feat (Tensor): X, (N, C, H, W), float32 or float64.
        gamma (Tensor): Scalar.
        tau (float): Temperature, above 0.

    Returns:
        Tensor: (N, C, H, W), contiguous.
    """
    flat = feat.flatten(2)
    return (gamma * (channel_weights(flat, tau) @ flat) + flat).view(feat.shape)
