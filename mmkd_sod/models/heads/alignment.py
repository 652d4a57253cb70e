"""Bringing the student's tower features to the scale of the teacher's."""

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size
from torch import Tensor

# Added to the student's standard deviation, which it is divided by.
EPS = 1e-6
# Inside the square root of the normalising kernel; keeps a constant channel finite.
_EPS_VAR = EPS**2


class _NormOverRanks(torch.autograd.Function):
    """Standardise each channel by the statistics of all ranks, as SyncBatchNorm does.

    The gradient that a rank's feature receives is that of the sum of the ranks' losses, so that the
    mean over ranks that ``DistributedDataParallel`` takes of every parameter's gradient is the
    gradient of the mean of the losses.
    """

    @staticmethod
    def forward(ctx, feat: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        variance, mean = torch.var_mean(feat, (0, 2, 3), correction=0)
        own = torch.cat([mean, variance, mean.new_tensor([feat.numel() // feat.shape[1]])])
        ranks = [torch.empty_like(own) for _ in range(get_world_size())]
        dist.all_gather(ranks, own)
        ranks = torch.stack(ranks)
        means, variances = ranks[:, :-1].chunk(2, dim=1)
        share = ranks[:, -1:] / ranks[:, -1].sum()
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean)**2)).sum(0)
        inverse = (variance + _EPS_VAR).rsqrt().view(1, -1, 1, 1)
        normal = (feat - mean.view(1, -1, 1, 1)) * inverse
        count = ranks[:, -1].sum()
        ctx.save_for_backward(normal, inverse, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return normal, mean, variance, count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor, *_) -> Tensor:
        normal, inverse, count = ctx.saved_tensors
        sums = torch.stack([grad.sum((0, 2, 3)), (grad * normal).sum((0, 2, 3))])
        dist.all_reduce(sums)
        means = (sums / count).view(2, 1, -1, 1, 1)
        return (grad - means[0] - normal * means[1]) * inverse


def _standardise(feat: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each channel with zero mean and a biased deviation of one.

    torch's batch-norm kernel does this in one pass forward and one back, several times faster than
    ``torch.std_mean`` over the same axes on CPU.

    Returns:
        tuple: The channels, their mean, unbiased and biased deviation, the last three without
        gradient; the biased one has the normalisation's epsilon in it.
    """
    if get_world_size() == 1:
        count = feat.numel() // feat.shape[1]
        normal, mean, inverse = torch.native_batch_norm(
            feat.float(), None, None, None, None, True, 0., _EPS_VAR)
        variance = (inverse.detach().pow(-2) - _EPS_VAR).clamp(min=0)
        # A single value a channel has no deviation: 0, where the formula would be 0 / 0.
        factors = (count / (count - 1) if count > 1 else 0., max(count - 1, 1) / count)
    else:
        normal, mean, variance, count = _NormOverRanks.apply(feat.float())
        factors = count / (count - 1), (count - 1) / count
    std = (variance * factors[0]).sqrt()
    biased = (std**2 * factors[1] + _EPS_VAR).sqrt()
    return normal, *(value.detach().view(1, -1, 1, 1) for value in (mean, std, biased))


@torch.no_grad()
def channel_stats(feat: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased standard deviation of each channel, over the images of all ranks.

    Args:
        feat (Tensor): (N, C, H, W); N, H and W may differ between ranks.

    Returns:
        tuple: Mean and standard deviation, (1, C, 1, 1) each, float32, without gradient.
    """
    return _standardise(feat)[1:3]


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
    normal, mean, std, biased = _standardise(student)
    teacher_mean, teacher_std = teacher_stats
    # A channel that varies by no more than its rounding carries nothing but noise.
    scale = teacher_std * biased / (std + EPS) * (std > EPS * mean.abs())
    aligned = torch.addcmul(teacher_mean, normal, scale)
    aligned = aligned.relu_() if relu else aligned
    return aligned.to(student.dtype)
