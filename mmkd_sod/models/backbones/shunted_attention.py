"""Blocks of the Shunted Transformer: attention over two token grids, and the MLP."""

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from mmseg.models.utils import PatchEmbed, nchw_to_nlc, nlc_to_nchw
from torch import Tensor, nn

NORM: dict = dict(type='LN', eps=1e-6)


class TokenBranch(BaseModule):
    """Keys and values of a group of heads, from tokens of a coarser grid.

    Args:
        dim (int): Channels of the tokens.
        channels (int): Channels of the keys and of the values.
        heads (int): Number of heads.
        reduction (int, optional): Kernel and stride of the convolution that reduces the grid; None
            for no reduction.
        qkv_bias (bool): Whether the linear layer has a bias.
    """

    def __init__(
        self, dim: int, channels: int, heads: int, reduction: int | None, qkv_bias: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.reduce = None
        if reduction is not None:
            # Its default padding 'corner' extends grids that are not multiples of the reduction.
            self.reduce = PatchEmbed(
                dim, dim, kernel_size=reduction, stride=reduction, norm_cfg=NORM
            )
        self.kv = nn.Linear(dim, 2 * channels, bias=qkv_bias)
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Compute keys, values and the depthwise convolution of the values.

        Args:
            tokens (Tensor): (N, H * W, dim).
            size (tuple[int, int]): H, W.

        Returns:
            tuple: (N, heads, h * w, channels / heads) each, with the reduced grid (h, w).
        """
        if self.reduce is not None:
            tokens, size = self.reduce(nlc_to_nchw(tokens, size))
            tokens = F.gelu(tokens)
        key, value = self.kv(tokens).chunk(2, -1)
        local = nchw_to_nlc(self.local(nlc_to_nchw(value.contiguous(), size)))
        key, value, local = (split_heads(x, self.heads) for x in (key, value, local))
        return key, value, local


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Reshape (N, L, C) to (N, heads, L, C / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class ShuntedAttention(BaseModule):
    """Self-attention of the Shunted Transformer with two token grids (Ren et al., CVPR 2022).

    With a reduction r > 1 half of the heads attend to tokens reduced by r and the others to tokens
    reduced by r / 2; a depthwise convolution of the values is added to the values. With r = 1 all
    heads attend to all tokens, and that convolution is added to the output.

    Args:
        dim (int): Channels.
        heads (int): Number of heads; even if ``reduction`` > 1.
        reduction (int): Factor r; 1 or even.
        qkv_bias (bool): Whether queries, keys and values have a bias.
    """

    def __init__(self, dim: int, heads: int, reduction: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        if reduction > 1:
            self.branches = nn.ModuleList(
                [
                    TokenBranch(dim, dim // 2, heads // 2, r, qkv_bias)
                    for r in (reduction, reduction // 2)
                ]
            )
        else:
            self.branches = nn.ModuleList([TokenBranch(dim, dim, heads, None, qkv_bias)])
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Return attended tokens (N, H * W, dim) for tokens of that shape; ``size`` is (H, W)."""
        queries = split_heads(self.q(tokens), self.heads).chunk(len(self.branches), 1)
        gathered = []
        for query, branch in zip(queries, self.branches, strict=True):
            key, value, local = branch(tokens, size)
            if branch.reduce is None:
                gathered.append(F.scaled_dot_product_attention(query, key, value) + local)
            else:
                gathered.append(F.scaled_dot_product_attention(query, key, value + local))
        return self.proj(torch.cat(gathered, 1).transpose(1, 2).flatten(2))


class ConvMLP(BaseModule):
    """Linear layer, GELU of the tokens plus their depthwise convolution, linear layer.

    Args:
        dim (int): Input and output channels.
        hidden (int): Hidden channels.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Return tokens (N, H * W, dim) for tokens of that shape; ``size`` is (H, W)."""
        grid = nlc_to_nchw(self.fc1(tokens), size)
        return self.fc2(nchw_to_nlc(F.gelu(grid + self.dwconv(grid))))


class ShuntedBlock(BaseModule):
    """Attention and MLP, each after a LayerNorm and with a shortcut.

    Args:
        dim (int): Channels.
        heads (int): Number of attention heads; even if ``reduction`` > 1.
        reduction (int): Reduction of the grid of keys and values; 1 or even.
        mlp_ratio (int): Hidden channels of the MLP, in multiples of ``dim``.
        qkv_bias (bool): Whether queries, keys and values have a bias.
        drop_path (float): Probability that a sample skips attention or MLP in training.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        reduction: int,
        mlp_ratio: int,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM['eps'])
        self.attn = ShuntedAttention(dim, heads, reduction, qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=NORM['eps'])
        self.mlp = ConvMLP(dim, dim * mlp_ratio)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Return tokens (N, H * W, dim) for tokens of that shape; ``size`` is (H, W)."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens), size))
        return tokens + self.drop_path(self.mlp(self.norm2(tokens), size))
