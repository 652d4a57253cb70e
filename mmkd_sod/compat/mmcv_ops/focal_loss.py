"""Focal losses: ``sigmoid_focal_loss_*`` and ``softmax_focal_loss_*`` of ``mmcv._ext``.

Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5. mmdet and mmseg take these
for tensors on a GPU. Logarithms are those of at least the smallest normal number, so that a loss is
finite whatever the logits, and the gradients are the compiled operators'.
"""

import torch
from torch import Tensor

from ._sampling import plain

SMALLEST = torch.finfo(torch.float32).tiny


def _in_float(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _log(probability: Tensor) -> Tensor:
    return probability.clamp(min=SMALLEST).log()


def _positive(scores: Tensor, target: Tensor) -> Tensor:
    """Which class is each row's target (N, C); labels from C on are background."""
    return target.unsqueeze(1) == torch.arange(scores.shape[1], device=scores.device)


def _weighted(values: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """Values (N, ...) times the weights of their rows' targets, if there are weights (C,).

    Rows of background or without a target keep their values; for them the compiled operator reads
    beyond the weights.
    """
    if not weight.numel():
        return values
    known = (target >= 0) & (target < len(weight))
    factor = weight[target.where(known, 0)].where(known, 1)
    return values * factor.view(-1, *[1] * (values.dim() - 1))


@plain
def sigmoid_focal_loss_forward(
    scores: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Write the loss of each logit (N, C) into ``output``.

    Args:
        target (Tensor): Labels (N,), C for background.
        weight (Tensor): Of each class (C,), or empty.
        gamma, alpha (float): Of the focal loss.
    """
    logits = _in_float(scores)
    one, zero = logits.sigmoid(), (-logits).sigmoid()
    loss = torch.where(
        _positive(scores, target),
        -alpha * zero**gamma * _log(one),
        (alpha - 1) * one**gamma * _log(zero),
    )
    output.copy_(_weighted(loss, weight, target))


@plain
def sigmoid_focal_loss_backward(
    scores: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    *,
    gamma: float,
    alpha: float,
) -> None:
    """Write the gradient of each loss by its logit."""
    logits = _in_float(scores)
    one, zero = logits.sigmoid(), (-logits).sigmoid()
    grad = torch.where(
        _positive(scores, target),
        -alpha * zero**gamma * (zero - gamma * one * _log(one)),
        (alpha - 1) * one**gamma * (gamma * zero * _log(zero) - one),
    )
    grad_input.copy_(_weighted(grad, weight, target))


def _of_target(softmax: Tensor, target: Tensor) -> Tensor:
    """Each row's probability of its target (N,)."""
    return _in_float(softmax).gather(1, target.clamp(min=0).unsqueeze(1)).squeeze(1)


@plain
def softmax_focal_loss_forward(
    softmax: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float, alpha: float
) -> None:
    """Write the loss of each row (N,) into ``output``.

    Args:
        softmax (Tensor): Probabilities (N, C).
        target (Tensor): Labels (N,); those below zero are ignored.
        weight (Tensor): Of each class (C,), or empty.
        gamma, alpha (float): Of the focal loss.
    """
    probability = _of_target(softmax, target)
    loss = -alpha * (1 - probability) ** gamma * _log(probability)
    output.copy_(_weighted(loss, weight, target).where(target >= 0, 0))


@plain
def softmax_focal_loss_backward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    *,
    gamma: float,
    alpha: float,
) -> None:
    """Write the gradients by the logits (N, C); ``buff`` (N,) gets a factor of each row."""
    probability = _of_target(softmax, target)
    rest = 1 - probability
    factor = alpha * (gamma * rest ** (gamma - 1) * probability * _log(probability) - rest**gamma)
    buff.copy_(_weighted(factor, weight, target).where(target >= 0, 0))
    grad_input.copy_(buff.unsqueeze(1) * (_positive(softmax, target).to(softmax) - softmax))


OPERATORS = dict(
    sigmoid_focal_loss_forward=sigmoid_focal_loss_forward,
    sigmoid_focal_loss_backward=sigmoid_focal_loss_backward,
    softmax_focal_loss_forward=softmax_focal_loss_forward,
    softmax_focal_loss_backward=softmax_focal_loss_backward,
)
