"""Aligning the student's tower features with the mean and scale of the teacher's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from mmengine.dist import get_world_size
from torch import Tensor

# Added to the student's standard deviation before the division.
EPS = 1e-6

Stats = tuple[Tensor, Tensor, int]


def _wide(feat: Tensor) -> Tensor:
    """Return half precision in float32, and float32 and float64 unchanged."""
    return feat.to(torch.promote_types(feat.dtype, torch.float32))


@torch.no_grad()
def channel_stats(feat: Tensor) -> Stats:
    """Return mean and biased variance of each channel over the images of this rank.

    Args:
        feat (Tensor): (N, C, H, W).

    Returns:
        tuple: Mean and variance, (C, ) each, without gradient, and the number of values per
        channel. float64 for a float64 feature, else float32.
    """
    feat = _wide(feat)
    if feat.is_cpu:
        # A kernel of batch norm, several times faster than var_mean over the same axes.
        mean, variance = torch.batch_norm_update_stats(feat, None, None, 0.0)
    else:
        variance, mean = torch.var_mean(feat, (0, 2, 3), correction=0)
    return mean, variance, feat.numel() // feat.shape[1]


@dataclass
class _Pooled:
    """Stats over the images of all ranks of several features, their channels in a row.

    Attributes:
        mean (Tensor): (channels, ).
        variance (Tensor): (channels, ), biased.
        std (Tensor): (channels, ), unbiased; that of a single value is 0.
        counts (Tensor, optional): (channels, ) values per channel, over several ranks only.
    """

    mean: Tensor
    variance: Tensor
    std: Tensor
    counts: Tensor | None


def _pooled(moments: Sequence[Stats]) -> _Pooled:
    """Pool the moments of the ranks, of all features in one collective."""
    mean = torch.cat([mean for mean, _, _ in moments])
    variance = torch.cat([variance for _, variance, _ in moments])
    if get_world_size() == 1:
        unbiased = [variance * (count / max(count - 1, 1)) for _, variance, count in moments]
        return _Pooled(mean, variance, torch.cat(unbiased).sqrt(), None)
    own = torch.stack(
        [
            mean,
            variance,
            torch.cat([mean.new_full(mean.shape, count) for mean, _, count in moments]),
        ]
    )
    ranks = [torch.empty_like(own) for _ in range(get_world_size())]
    dist.all_gather(ranks, own)
    means, variances, counts = torch.stack(ranks, 1)
    total = counts.sum(0)
    share = counts / total
    mean = (share * means).sum(0)
    variance = (share * (variances + (means - mean) ** 2)).sum(0)
    return _Pooled(mean, variance, (variance * (total / (total - 1).clamp(min=1))).sqrt(), total)


class _Align(torch.autograd.Function):
    """Standardise each channel and give it a target mean and standard deviation in one pass.

    Takes all levels and towers at once, so that their statistics are pooled over the ranks in one
    collective forward and one backward. Saves only its inputs, which are kept anyway, and with ReLU
    its outputs. The gradient is that of the sum of the ranks' losses: the mean over ranks that
    ``DistributedDataParallel`` takes is then the gradient of the mean of the losses.
    """

    @staticmethod
    def forward(ctx, targets: Sequence[Stats], relu: bool, *feats: Tensor):
        channels = [feat.shape[1] for feat in feats]
        found = _pooled([*(channel_stats(feat) for feat in feats), *targets])
        half = len(found.mean) // 2
        mean, variance = found.mean[:half], found.variance[:half]
        # The variation of a channel below its rounding error is noise.
        clear = found.std[:half] > EPS * mean.abs()
        scale = found.std[half:] / (found.std[:half] + EPS) * clear
        shift = found.mean[half:] - mean * scale
        aligned = []
        for feat, by, to in zip(feats, scale.split(channels), shift.split(channels), strict=True):
            level = torch.addcmul(to.view(1, -1, 1, 1), feat, by.view(1, -1, 1, 1))
            aligned.append(level.relu_() if relu else level)
        ctx.relu = relu
        ctx.counts = None if found.counts is None else found.counts[:half]
        ctx.save_for_backward(mean, variance, scale, *feats, *(aligned if relu else ()))
        return tuple(aligned)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grads: Tensor):
        mean, variance, scale, *kept = ctx.saved_tensors
        feats = kept[: len(grads)]
        if ctx.relu:
            grads = tuple(
                torch.ops.aten.threshold_backward(grad, level, 0)
                for grad, level in zip(grads, kept[len(grads) :], strict=True)
            )
        # EPS keeps the inverse of constant channels finite; their scale is 0.
        inverse = (variance + EPS**2).rsqrt()
        if ctx.counts is None:
            # The kernel multiplies by weight * inverse, hence the division of the weight.
            parts = _split(feats, scale / inverse, mean, inverse)
            return (
                None,
                None,
                *(
                    torch.ops.aten.native_batch_norm_backward(
                        grad, feat, weight, None, None, *moments, True, EPS**2, [True, False, False]
                    )[0]
                    for grad, feat, (weight, *moments) in zip(grads, feats, parts, strict=True)
                ),
            )
        shape = 1, -1, 1, 1
        normals = [
            torch.addcmul((-own * by).view(shape), feat, by.view(shape))
            for feat, (own, by) in zip(feats, _split(feats, mean, inverse), strict=True)
        ]
        sums = torch.stack(
            [
                torch.cat([grad.sum((0, 2, 3)) for grad in grads]),
                torch.cat(
                    [
                        (grad * normal).sum((0, 2, 3))
                        for grad, normal in zip(grads, normals, strict=True)
                    ]
                ),
            ]
        )
        dist.all_reduce(sums)
        first, second = sums / ctx.counts
        parts = _split(feats, first, second, scale)
        return (
            None,
            None,
            *(
                (grad - one.view(shape) - normal * two.view(shape)) * by.view(shape)
                for grad, normal, (one, two, by) in zip(grads, normals, parts, strict=True)
            ),
        )


def _split(feats: Sequence[Tensor], *rows: Tensor) -> list[tuple[Tensor, ...]]:
    """Return the parts of channels in a row that belong to each feature."""
    channels = [feat.shape[1] for feat in feats]
    return list(zip(*(row.split(channels) for row in rows), strict=True))


def align_streams(
    feats: Mapping[str, Sequence[Tensor]], targets: Mapping[str, Sequence[Stats]], relu: bool
) -> dict[str, list[Tensor]]:
    """Align the features of all towers and levels; see ``align_scale``.

    Args:
        feats (Mapping): Name of a tower to its features, (N, C, H, W) per level.
        targets (Mapping): Name to the ``channel_stats`` of the teacher's features.
        relu (bool): As for ``align_scale``.

    Returns:
        dict: Name to the aligned features. A feature that several towers share is aligned once.
    """
    pairs: dict[tuple[int, int], tuple[Tensor, Stats]] = {}
    for name, levels in feats.items():
        for feat, target in zip(levels, targets[name], strict=True):
            pairs[id(feat), id(target)] = feat, target
    aligned = _Align.apply(
        [target for _, target in pairs.values()], relu, *(_wide(feat) for feat, _ in pairs.values())
    )
    done = {
        key: found.to(feat.dtype)
        for (key, (feat, _)), found in zip(pairs.items(), aligned, strict=True)
    }
    return {
        name: [
            done[id(feat), id(target)] for feat, target in zip(levels, targets[name], strict=True)
        ]
        for name, levels in feats.items()
    }


def align_scale(student: Tensor, target: Stats, relu: bool) -> Tensor:
    """Standardise each channel of the student's feature and give it the teacher's mean and scale.

    Source: CrossKD (arXiv 2306.11369) and its released code: statistics over (N, H, W), unbiased
    standard deviation, no learned parameters. Gradients also flow through the student's statistics,
    up to a relative error of 1e-6 / standard deviation from the added 1e-6.

    Deviation: in a distributed run the statistics are those of the images of all ranks, so that
    losses and gradients equal those of one process on the whole batch. The released code uses the
    statistics of each rank, whose result depends on the number of images per GPU.

    Args:
        student (Tensor): (N, C, H, W); N, H and W may differ between ranks.
        target (tuple): ``channel_stats`` of the teacher's feature, which has the same C; N, H and
            W may differ.
        relu (bool): Apply ReLU to the result, for features that are outputs of a ReLU.

    Returns:
        Tensor: (N, C, H, W) in the student's dtype. Channels that are constant up to rounding
        become the teacher's mean and get no gradient.
    """
    return align_streams({'': [student]}, {'': [target]}, relu)[''][0]
