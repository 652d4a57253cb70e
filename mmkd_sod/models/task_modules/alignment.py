"""Aligning the student's tower features with the mean and scale of the teacher's."""

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size
from torch import Tensor

# Added to the student's standard deviation before the division.
EPS = 1e-6


def _wide(feat: Tensor) -> Tensor:
    """Return half precision in float32, and float32 and float64 unchanged."""
    return feat.to(torch.promote_types(feat.dtype, torch.float32))


def _moments(feat: Tensor) -> tuple[Tensor, Tensor, Tensor, float | Tensor]:
    """Return mean, variance, standard deviation and count per channel over all ranks.

    Args:
        feat (Tensor): (N, C, H, W), float32 or float64; N, H and W may differ between ranks.

    Returns:
        tuple: Mean, biased variance and unbiased standard deviation, (C, ) each, and the number of
        values per channel. The standard deviation of a single value is 0.
    """
    if feat.is_cpu:
        # A kernel of batch norm, several times faster than var_mean over the same axes.
        mean, variance = torch.batch_norm_update_stats(feat, None, None, 0.0)
    else:
        variance, mean = torch.var_mean(feat, (0, 2, 3), correction=0)
    count = feat.numel() // feat.shape[1]
    if get_world_size() == 1:
        return mean, variance, (variance * (count / max(count - 1, 1))).sqrt(), count
    own = torch.cat([mean, variance, mean.new_tensor([count])])
    ranks = [torch.empty_like(own) for _ in range(get_world_size())]
    dist.all_gather(ranks, own)
    table = torch.stack(ranks)
    means, variances = table[:, :-1].chunk(2, dim=1)
    total = table[:, -1].sum()
    share = table[:, -1:] / total
    mean = (share * means).sum(0)
    variance = (share * (variances + (means - mean) ** 2)).sum(0)
    return mean, variance, (variance * (total / (total - 1).clamp(min=1))).sqrt(), total


class _Align(torch.autograd.Function):
    """Standardise each channel and give it a target mean and standard deviation in one pass.

    Saves only its input, which is kept anyway, and with ReLU its output. The gradient is that of
    the sum of the ranks' losses: the mean over ranks that ``DistributedDataParallel`` takes is then
    the gradient of the mean of the losses.
    """

    @staticmethod
    def forward(ctx, feat: Tensor, target_mean: Tensor, target_std: Tensor, relu: bool) -> Tensor:
        mean, variance, std, count = _moments(feat)
        # The variation of a channel below its rounding error is noise.
        scale = target_std.flatten() / (std + EPS) * (std > EPS * mean.abs())
        shape = 1, -1, 1, 1
        shift = target_mean - (mean * scale).view(shape)
        aligned = torch.addcmul(shift, feat, scale.view(shape))
        if relu:
            aligned.relu_()
        ctx.relu, ctx.count = relu, count
        ctx.save_for_backward(feat, mean, variance, scale, aligned if relu else None)
        return aligned

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None]:
        feat, mean, variance, scale, aligned = ctx.saved_tensors
        if ctx.relu:
            grad = torch.ops.aten.threshold_backward(grad, aligned, 0)
        # EPS keeps the inverse of constant channels finite; their scale is 0.
        inverse = (variance + EPS**2).rsqrt()
        if get_world_size() == 1:
            # The kernel multiplies by weight * inverse, hence the division of the weight.
            return (
                torch.ops.aten.native_batch_norm_backward(
                    grad,
                    feat,
                    scale / inverse,
                    None,
                    None,
                    mean,
                    inverse,
                    True,
                    EPS**2,
                    [True, False, False],
                )[0],
                None,
                None,
                None,
            )
        shape = 1, -1, 1, 1
        normal = (feat - mean.view(shape)) * inverse.view(shape)
        sums = torch.stack([grad.sum((0, 2, 3)), (grad * normal).sum((0, 2, 3))])
        dist.all_reduce(sums)
        means = (sums / ctx.count).view(2, *shape)
        return (grad - means[0] - normal * means[1]) * scale.view(shape), None, None, None


@torch.no_grad()
def channel_stats(feat: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and unbiased standard deviation of each channel over the images of all ranks.

    Args:
        feat (Tensor): (N, C, H, W); N, H and W may differ between ranks.

    Returns:
        tuple: Mean and standard deviation, (1, C, 1, 1) each, without gradient; float64 for a
        float64 feature, else float32.
    """
    mean, _, std, _ = _moments(_wide(feat))
    return mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)


def align_scale(student: Tensor, teacher_stats: tuple[Tensor, Tensor], relu: bool) -> Tensor:
    """Standardise each channel of the student's feature and give it the teacher's mean and scale.

    Source: CrossKD (arXiv 2306.11369) and its released code: statistics over (N, H, W), unbiased
    standard deviation, no learned parameters. Gradients also flow through the student's statistics,
    up to a relative error of 1e-6 / standard deviation from the added 1e-6.

    Deviation: in a distributed run the statistics are those of the images of all ranks, so that
    losses and gradients equal those of one process on the whole batch. The released code uses the
    statistics of each rank, whose result depends on the number of images per GPU.

    Args:
        student (Tensor): (N, C, H, W).
        teacher_stats (tuple): Result of ``channel_stats`` for the teacher's feature, which has
            the same C; N, H and W may differ.
        relu (bool): Apply ReLU to the result, for features that are outputs of a ReLU.

    Returns:
        Tensor: (N, C, H, W) in the student's dtype. Channels that are constant up to rounding
        become the teacher's mean and get no gradient.
    """
    return _Align.apply(_wide(student), *teacher_stats, relu).to(student.dtype)
