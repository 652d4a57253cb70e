"""Channel attention: every channel adds those that are least like it (CSKD's CAM)."""
import torch
import torch.nn.functional as F
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


def attended_channels(weights: Tensor, feat: Tensor) -> Tensor:
    """``weights @ feat`` without a gradient, on a CPU by way of the weights that count.

    On maps of some size the energies lie so far apart that the softmax is all but one-hot: of 512
    weights a dozen may exceed the rounding error of the row. Summing up those rows alone is four
    times as fast as the full product, and equal to it up to rounding.

    Args:
        weights (Tensor): (N, R, C), rows sum to 1.
        feat (Tensor): (N, C, L), contiguous.

    Returns:
        Tensor: (N, R, L).
    """
    num, rows, channels = weights.shape
    if weights.device.type == 'cpu':
        # All that is left out of a row adds up to less than its rounding error.
        counts = weights > torch.finfo(weights.dtype).eps / channels
        sizes = counts.sum(-1).flatten()
        ends = sizes.cumsum(0)
        if ends[-1] * 16 < weights.numel():
            image, _, channel = counts.nonzero(as_tuple=True)
            found = F.embedding_bag(
                image * channels + channel, feat.flatten(0, 1), ends - sizes, mode='sum',
                per_sample_weights=weights[counts])
            return found.view(num, rows, -1)
    return weights @ feat


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
