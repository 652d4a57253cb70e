"""Batch normalization across processes: ``sync_bn_*`` of ``mmcv._ext``.

mmcv sums the statistics of all processes between these steps. Maps are (N, C, pixels).
"""

from torch import Tensor


def _mean(values: Tensor) -> Tensor:
    return values.mean((0, 2))


def sync_bn_forward_mean(maps: Tensor, mean: Tensor) -> None:
    """Write each channel's mean."""
    mean.copy_(_mean(maps.float()))


def sync_bn_forward_var(maps: Tensor, mean: Tensor, var: Tensor) -> None:
    """Write each channel's mean square distance to ``mean``."""
    var.copy_(_mean((maps.float() - mean.view(-1, 1)) ** 2))


def sync_bn_forward_output(
    maps: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    *,
    eps: float,
    momentum: Tensor | float,
    group_size: int,
) -> None:
    """Write the normalized maps, with (``output``) and without (``norm``) the affine map.

    Args:
        mean, var (Tensor): Of each channel, of all processes.
        weight, bias, running_mean, running_var (Tensor, optional): The module's.
        std (Tensor): Written with each channel's divisor.
        momentum (Tensor | float): Of the running statistics.
        group_size (int): Processes, for the unbiased variance.
    """
    std.copy_((var + eps).sqrt())
    norm.copy_((maps.float() - mean.view(-1, 1)) / std.view(-1, 1))
    output.copy_(norm if weight is None else norm * weight.view(-1, 1) + bias.view(-1, 1))
    if running_mean is not None:
        count = maps.shape[0] * maps.shape[2] * group_size
        unbiased = var * count / (count - 1) if count > 1 else var
        running_mean.copy_(momentum * mean + (1 - momentum) * running_mean)
        running_var.copy_(momentum * unbiased + (1 - momentum) * running_var)


def sync_bn_backward_param(
    grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor
) -> None:
    """Write the gradients by weight and bias."""
    grads = grad_output.float()
    grad_weight.copy_((grads * norm).sum((0, 2)))
    grad_bias.copy_(grads.sum((0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Write the gradient by the maps, from the mean gradients by weight and bias."""
    count = grad_output.shape[0] * grad_output.shape[2]
    common = (grad_weight.view(-1, 1) * norm + grad_bias.view(-1, 1)) / count
    grad_input.copy_((grad_output.float() - common) * (weight / std).view(-1, 1))


OPERATORS = dict(
    sync_bn_forward_mean=sync_bn_forward_mean,
    sync_bn_forward_var=sync_bn_forward_var,
    sync_bn_forward_output=sync_bn_forward_output,
    sync_bn_backward_param=sync_bn_backward_param,
    sync_bn_backward_data=sync_bn_backward_data,
)
