"""Bringing the student's tower features to the scale of the teacher's."""

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size
from torch import Tensor

# Added to the student's standard deviation, which it is divided by.
EPS = 1e-6


def _wide(feat: Tensor) -> Tensor:
    """In float32, of half precision too; float64 stays."""
    return feat.to(torch.promote_types(feat.dtype, torch.float32))


def _moments(feat: Tensor) -> tuple[Tensor, Tensor, Tensor, float | Tensor]:
    """Mean, spread and number of the values of each channel, over the images of all ranks.

    Args:
        feat (Tensor): (N, C, H, W), float32 or wider; N, H and W may differ between ranks.

    Returns:
        tuple: Mean, biased variance and unbiased standard deviation, (C, ) each, and the count. The
        deviation of a single value is 0, where the formula would be 0 / 0.
    """
    if feat.is_cpu:
        # The first half of batch norm: one parallel pass, several times faster than var_mean over
        # the same axes.
        mean, variance = torch.batch_norm_update_stats(feat, None, None, 0.)
    else:
        variance, mean = torch.var_mean(feat, (0, 2, 3), correction=0)
    count = feat.numel() // feat.shape[1]
    if get_world_size() == 1:
        return mean, variance, (variance * (count / max(count - 1, 1))).sqrt(), count
    own = torch.cat([mean, variance, mean.new_tensor([count])])
    ranks = [torch.empty_like(own) for _ in range(get_world_size())]
    dist.all_gather(ranks, own)
    ranks = torch.stack(ranks)
    means, variances = ranks[:, :-1].chunk(2, dim=1)
    count = ranks[:, -1].sum()
    share = ranks[:, -1:] / count
    mean = (share * means).sum(0)
    variance = (share * (variances + (means - mean)**2)).sum(0)
    return mean, variance, (variance * (count / (count - 1).clamp(min=1))).sqrt(), count


class _Align(torch.autograd.Function):
    """Standardise each channel and give it another mean and deviation, in one pass.

    Keeps nothing but its input, which is kept anyway, and its output. The gradient that a rank's
    feature receives is that of the sum of the ranks' losses, so that the mean over ranks that
    ``DistributedDataParallel`` takes of every parameter's gradient is the gradient of the mean of
    the losses.
    """

    @staticmethod
    def forward(ctx, feat: Tensor, target_mean: Tensor, target_std: Tensor, relu: bool) -> Tensor:
        mean, variance, std, count = _moments(feat)
        # A channel that varies by no more than its rounding carries nothing but noise.
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
        # Keeps a constant channel, whose scale is 0, finite.
        inverse = (variance + EPS**2).rsqrt()
        if get_world_size() == 1:
            # The kernel multiplies by weight * inverse: the weight takes the latter out again.
            return torch.ops.aten.native_batch_norm_backward(
                grad, feat, scale / inverse, None, None, mean, inverse, True, EPS**2,
                [True, False, False])[0], None, None, None
        shape = 1, -1, 1, 1
        normal = (feat - mean.view(shape)) * inverse.view(shape)
        sums = torch.stack([grad.sum((0, 2, 3)), (grad * normal).sum((0, 2, 3))])
        dist.all_reduce(sums)
        means = (sums / ctx.count).view(2, *shape)
        return (grad - means[0] - normal * means[1]) * scale.view(shape), None, None, None


@torch.no_grad()
def channel_stats(feat: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased standard deviation of each channel, over the images of all ranks.

    Args:
        feat (Tensor): (N, C, H, W); N, H and W may differ between ranks.

    Returns:
        tuple: Mean and standard deviation, (1, C, 1, 1) each, in float32, of a float64 feature in
        float64; without gradient.
    """
    mean, _, std, _ = _moments(_wide(feat))
    return mean.view(1, -1, 1, 1), std.view(1, -1, 1, 1)


def align_scale(student: Tensor, teacher_stats: tuple[Tensor, Tensor], relu: bool) -> Tensor:
    """Standardise each channel of the student's feature and give it the teacher's scale.

    Source: CrossKD (arXiv 2306.11369), as its program does it: statistics over (N, H, W), unbiased
    standard deviation, no learned part. Gradient flows through the student's statistics too; what
    the 1e-6 beside the deviation adds to it (a relative 1e-6 / deviation) is left out.

    In a distributed run the statistics are those of the images of all ranks, so that losses and
    gradients are what one process finds on the whole batch. The released program takes each rank's
    own, which makes the result depend on how many images a GPU holds.

    Args:
        student (Tensor): (N, C, H, W).
        teacher_stats (tuple): What :func:`channel_stats` gives for the teacher's feature; N, H and
            W of that feature may differ, C may not.
        relu (bool): Apply ReLU to the result: wanted where the feature follows a ReLU.

    Returns:
        Tensor: (N, C, H, W), of the student's dtype. A channel that is constant, up to
        rounding, becomes the teacher's mean and gets no gradient.
    """
    return _Align.apply(_wide(student), *teacher_stats, relu).to(student.dtype)
