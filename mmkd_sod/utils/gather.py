"""Gathering the features of all ranks as one batch, with gradients."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from mmengine.dist import get_rank, get_world_size
from torch import Tensor

from mmkd_sod.errors import ConfigError

Shapes = tuple[tuple[int, ...], ...]

# Shapes of this rank that were equal on all ranks before, as tensors on their device.
_known: dict[tuple[torch.device, Shapes], Tensor] = {}
_MAX_KNOWN = 64


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


def _check_shapes(feats: Sequence[Tensor]) -> None:
    """Refuse shapes that differ between ranks, before anything of these shapes is sent.

    The host reads the ranks' shapes only where those of this rank are new. Elsewhere the device
    compares them, so that the host does not wait for it; on a GPU a difference is then a failed
    assertion of the device.
    """
    key = feats[0].device, tuple(tuple(feat.shape) for feat in feats)
    known = _known.get(key)
    own = known
    if own is None:
        own = torch.tensor([size for shape in key[1] for size in shape], device=key[0])
    table = [torch.empty_like(own) for _ in range(get_world_size())]
    dist.all_gather(table, own)
    ranks = torch.stack(table)
    if known is not None:
        torch._assert_async((ranks == own).all(), 'gather=True: shapes differ between ranks')
        return
    distinct = {tuple(rank) for rank in ranks.tolist()}
    if len(distinct) > 1:
        raise ConfigError(
            f'gather=True: the ranks have features of different shapes {sorted(distinct)}; all '
            'shapes must be equal; use one batch size and crop size, or gather=False'
        )
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    _known[key] = own


def gather_batches(*feats: Tensor) -> list[Tensor]:
    """Return the features of all ranks as one batch, ordered by rank, in two collectives.

    For losses that compare the images of a batch with one another. The gradient of each feature is
    multiplied by the number of ranks, so that the mean over ranks of ``DistributedDataParallel`` is
    the gradient of the loss of the whole batch.

    Args:
        feats (Tensor): (N, ...) each, of the same N; the shapes must be equal on all ranks.

    Returns:
        list[Tensor]: (ranks * N, ...) each; the features themselves if there is one rank.

    Raises:
        ConfigError: The shapes differ between ranks; raised on all ranks, so that none hangs.
    """
    if get_world_size() == 1:
        return list(feats)
    _check_shapes(feats)
    wide = feats[0].dtype
    for feat in feats[1:]:
        wide = torch.promote_types(wide, feat.dtype)
    sizes = [feat[0].numel() for feat in feats]
    sent = torch.cat([feat.flatten(1).to(wide) for feat in feats], 1).contiguous()
    parts = _GatherBatch.apply(sent).split(sizes, 1)
    return [
        part.reshape(-1, *feat.shape[1:]).to(feat.dtype)
        for part, feat in zip(parts, feats, strict=True)
    ]


def gather_batch(feat: Tensor) -> Tensor:
    """Return one feature of all ranks as one batch; see ``gather_batches``."""
    return gather_batches(feat)[0]
