"""Position attention of CSKD (PAM) within the blocks of a grid."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError

PROJECTIONS = ('resampled', 'fixed', 'learned')


def _runs(length: int, chunks: int) -> list[tuple[int, int, int]]:
    """Return (start, count, size) of the one or two runs of equal chunks of ``torch.chunk``."""
    size = -(-length // chunks)
    count, rest = divmod(length, size)
    return [(0, count, size)] + ([(count * size, 1, rest)] if rest else [])


def grid_blocks(feat: Tensor, grid: Sequence[int]) -> list[Tensor]:
    """Cut a feature map into blocks as ``torch.chunk`` does, and group blocks of one shape.

    As with ``torch.chunk``, border blocks may be smaller, and there may be fewer blocks than asked
    for: 11 rows in 5 blocks give 3, 3, 3 and 2.

    Args:
        feat (Tensor): (N, C, H, W).
        grid (Sequence[int]): Blocks along H and W.

    Returns:
        list[Tensor]: Up to 4 views (rows, columns, N, h, w, C) of ``feat``, one per block shape:
        inner blocks, right border, lower border, corner. Together they cover the map once.
    """
    height, width = feat.shape[2:]
    views = []
    for top, rows, h in _runs(height, grid[0]):
        for left, cols, w in _runs(width, grid[1]):
            part = feat[:, :, top : top + rows * h, left : left + cols * w]
            part = part.unflatten(3, (cols, w)).unflatten(2, (rows, h))
            views.append(part.permute(2, 4, 0, 3, 5, 1))
    return views


def attended_values(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``softmax(query . key) value``, attention among the positions of each block.

    Args:
        blocks (Tensor): (B, N, L, C), L positions per block.
        weight (Tensor): (B or 1, D + D + C, C): 1x1 query, key and value convolutions, one set per
            block or one for all; the query weights include the temperature.
        bias (Tensor): (B or 1, D + D + C).

    Returns:
        Tensor: (B, N, L, C).
    """
    num_blocks, num, length, channels = blocks.shape
    depth = (weight.shape[1] - channels) // 2
    if len(weight) == 1:
        projected = torch.addmm(bias[0], blocks.flatten(0, 2), weight[0].t())
    else:
        projected = torch.baddbmm(bias[:, None], blocks.flatten(1, 2), weight.transpose(1, 2))
    projected = projected.view(num_blocks * num, length, -1)
    query, key, value = projected.split((depth, depth, channels), -1)
    weights = torch.softmax(query @ key.transpose(1, 2), -1)
    return (weights @ value).view(blocks.shape)


def position_attention(
    feat: Tensor, gamma: Tensor, weight: Tensor, bias: Tensor, grid: Sequence[int] = (5, 5)
) -> Tensor:
    """Return the map ``gamma * attended value + X``, with attention within each block of a grid.

    Source: CSKD (Pattern Recognition Letters 180, 2024): the position attention of DANet (CVPR
    2019) with a temperature, in blocks.

    Args:
        feat (Tensor): X, (N, C, H, W).
        gamma (Tensor): Scalar.
        weight (Tensor): (1, D + D + C, C), see ``attended_values``.
        bias (Tensor): (1, D + D + C).
        grid (Sequence[int]): Blocks along H and W; (1, 1) attends over the whole map.

    Returns:
        Tensor: (N, C, H, W).
    """
    out = torch.empty_like(feat)
    for index, source in enumerate(grid_blocks(feat, grid)):
        rows, cols, num, h, w, channels = source.shape
        blocks = source.reshape(rows * cols, num, h * w, channels)
        attended = gamma * attended_values(blocks, weight, bias) + blocks
        # A view taken before an in-place write has a stale autograd history: take a new one.
        grid_blocks(out, grid)[index].copy_(attended.view(source.shape))
    return out


class PositionProjection(nn.Module):
    """The 1x1 query, key and value convolutions of position attention for one network.

    Args:
        channels (int): C, channels of the feature, at least 8. Query and key have C // 8 channels,
            value has C.
        tau (float): Temperature of the attention; the queries are divided by it.
        mode (str): Where the convolutions come from.

            - ``'resampled'``: drawn anew for every block of every step, initialised as
              ``nn.Conv2d``, never trained; as in the released code. A separate random stream,
              equal on all ranks, projects gathered features alike and does not affect the models.
            - ``'fixed'``: drawn once, shared by all blocks, never trained, saved in checkpoints.
            - ``'learned'``: one set shared by all blocks and trained with the student, as the paper
              words it. The loss can then also fall because the projections change.

    Raises:
        ConfigError: The mode is unknown, or there are fewer than 8 channels.
    """

    def __init__(self, channels: int, tau: float = 2.0, mode: str = 'resampled') -> None:
        super().__init__()
        if mode not in PROJECTIONS:
            raise ConfigError(
                f'ChannelSpatialKDLoss: projection={mode!r} is unknown; use one of {PROJECTIONS}'
            )
        if channels < 8:
            raise ConfigError(
                f'ChannelSpatialKDLoss: got {channels} channels; position attention has channels '
                '// 8 query channels and needs at least 8; use a wider feature or pam_weight=0'
            )
        self.channels = channels
        self.tau = tau
        self.mode = mode
        self._draws = 0
        if mode != 'resampled':
            self.query = nn.Conv2d(channels, channels // 8, 1)
            self.key = nn.Conv2d(channels, channels // 8, 1)
            self.value = nn.Conv2d(channels, channels, 1)
            self.requires_grad_(mode == 'learned')

    # The number of draws is saved, so that a resumed run does not repeat its first draws. It is not
    # a buffer, since reading a buffer on a GPU would synchronise with the host.
    def _save_to_state_dict(self, destination, prefix, keep_vars) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.mode == 'resampled':
            destination[prefix + 'draws'] = torch.tensor(self._draws)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        # Checkpoints of 'fixed' and 'learned', and old ones, have no such entry.
        draws = state_dict.pop(prefix + 'draws', None)
        if draws is not None:
            self._draws = int(draws)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def convolutions(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the convolutions of ``'fixed'`` or ``'learned'`` for ``attended_values``.

        Args:
            like (Tensor): Sets dtype and device.

        Returns:
            tuple[Tensor, Tensor]: Weight (1, 2 * (C // 8) + C, C) and bias (1, 2 * (C // 8) + C).
        """
        convs = self.query, self.key, self.value
        query, key, value = (conv.weight for conv in convs)
        weight = torch.cat((query / self.tau, key, value)).flatten(1)
        query, key, value = (cast(Tensor, conv.bias) for conv in convs)
        bias = torch.cat((query / self.tau, key, value))
        return weight[None].to(like), bias[None].to(like)

    def draw(self, blocks: Tensor) -> tuple[Tensor, Tensor]:
        """Draw new convolutions for each block, for ``attended_values``.

        Args:
            blocks (Tensor): (B, N, L, C).

        Returns:
            tuple[Tensor, Tensor]: Weight (B, 2 * (C // 8) + C, C) and bias (B, 2 * (C // 8) + C).
        """
        depth, channels = self.channels // 8, self.channels
        # Channels in the seed give student and teacher different streams.
        generator = torch.Generator(blocks.device).manual_seed(self._draws << 20 | channels)
        self._draws += 1
        # nn.Conv2d draws weight and bias of a 1x1 convolution from the same interval. 16 random
        # bits per number suffice, and one int64 yields four of them.
        rows = len(blocks) * (2 * depth + channels)
        size = rows * (channels + 1)
        bits = torch.empty(-(-size // 4), dtype=torch.int64, device=blocks.device)
        bits.random_(-(2**63), None, generator=generator)
        drawn = bits.view(torch.int16)[:size].to(blocks.dtype).mul_(channels**-0.5 / 2**15)
        weight, bias = drawn.split((rows * channels, rows))
        weight = weight.view(len(blocks), -1, channels)
        bias = bias.view(len(blocks), -1)
        weight[:, :depth] /= self.tau
        bias[:, :depth] /= self.tau
        return weight, bias
