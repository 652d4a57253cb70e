"""Features of all ranks as one batch, with gradients."""
import torch
import torch.distributed as dist
from mmengine.dist import get_rank, get_world_size
from torch import Tensor

from mmkd_sod.errors import ConfigError


class _GatherBatch(torch.autograd.Function):
    """Concatenate the ranks' batches; give each rank the gradient of its own images."""

    @staticmethod
    def forward(ctx, feat: Tensor) -> Tensor:
        ctx.num_images = feat.shape[0]
        parts = [torch.empty_like(feat) for _ in range(get_world_size())]
        dist.all_gather(parts, feat)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        # Every rank computes the same loss of the same batch, so `grad` is the same everywhere and
        # needs no communication. A data-parallel wrapper averages parameters' gradients over the
        # ranks, while those of one loss must be added up: hence the factor.
        start = get_rank() * ctx.num_images
        return grad[start:start + ctx.num_images] * get_world_size()


def gather_batch(feat: Tensor) -> Tensor:
    """The features of all ranks in their order; ``feat`` itself where there is one rank.

    Use it in front of a loss that compares the images of a batch with one another. The gradient
    that a rank's ``feat`` receives is that of the loss times the number of ranks, so that the mean
    over ranks that ``DistributedDataParallel`` takes of every parameter's gradient is the gradient
    of the loss of the one big batch.

    Args:
        feat (Tensor): (N, ...), the same shape on all ranks.

    Returns:
        Tensor: (ranks * N, ...).

    Raises:
        ConfigError: If the shapes differ between ranks; on all of them, so that none waits.
    """
    if get_world_size() == 1:
        return feat
    shape = torch.tensor(feat.shape, device=feat.device)
    shapes = [torch.empty_like(shape) for _ in range(get_world_size())]
    dist.all_gather(shapes, shape)
    distinct = {tuple(s.tolist()) for s in shapes}
    if len(distinct) > 1:
        raise ConfigError(
            f'gather: the ranks hold features of different shapes {sorted(distinct)}; use the '
            'same batch size and crop size on all of them, or gather=False')
    return _GatherBatch.apply(feat.contiguous())
