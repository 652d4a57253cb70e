"""Gathering the features of all ranks as one batch, with gradients."""

import torch
import torch.distributed as dist
from mmengine.dist import get_rank, get_world_size
from torch import Tensor

from mmkd_sod.errors import ConfigError


class _GatherBatch(torch.autograd.Function):
    """Concatenates the batches of the ranks; each rank gets the gradient of its own images."""

    @staticmethod
    def forward(ctx, feat: Tensor) -> Tensor:
        ctx.num_images = feat.shape[0]
        parts = [torch.empty_like(feat) for _ in range(get_world_size())]
        dist.all_gather(parts, feat)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        # All ranks compute the same loss, so `grad` is equal everywhere and needs no communication.
        # DistributedDataParallel averages gradients over ranks; the factor turns this into a sum.
        start = get_rank() * ctx.num_images
        return grad[start : start + ctx.num_images] * get_world_size()


def gather_batch(feat: Tensor) -> Tensor:
    """Return the features of all ranks as one batch, ordered by rank.

    For losses that compare the images of a batch with one another. The gradient of ``feat`` is
    multiplied by the number of ranks, so that the mean over ranks of ``DistributedDataParallel`` is
    the gradient of the loss of the whole batch.

    Args:
        feat (Tensor): (N, ...), of the same shape on all ranks.

    Returns:
        Tensor: (ranks * N, ...); ``feat`` itself if there is one rank.

    Raises:
        ConfigError: The shapes differ between ranks; raised on all ranks, so that none hangs.
    """
    if get_world_size() == 1:
        return feat
    shape = torch.tensor(feat.shape, device=feat.device)
    shapes = [torch.empty_like(shape) for _ in range(get_world_size())]
    dist.all_gather(shapes, shape)
    distinct = {tuple(s.tolist()) for s in shapes}
    if len(distinct) > 1:
        raise ConfigError(
            f'gather=True: the ranks have features of different shapes {sorted(distinct)}; all '
            'shapes must be equal; use one batch size and crop size, or gather=False'
        )
    return _GatherBatch.apply(feat.contiguous())
