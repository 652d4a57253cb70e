"""Window attention between two modalities (HKDNet)."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


def to_windows(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Cut (N, C, H, W) into windows (N * windows, h * w, C); H, W must be multiples of h, w."""
    n, c, height, width = x.shape
    h, w = window
    x = x.view(n, c, height // h, h, width // w, w).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(-1, h * w, c)


def from_windows(tokens: Tensor, window: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Invert ``to_windows`` for maps of ``size`` (H, W)."""
    (h, w), (height, width) = window, size
    x = tokens.view(-1, height // h, width // w, h, w, tokens.shape[-1])
    return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, tokens.shape[-1], height, width)


class ModalityProjection(BaseModule):
    """LayerNorm and the projections to queries, keys, values and output for one modality.

    Args:
        dim (int): Channels.
        heads (int): Attention heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def split(self, tokens: Tensor) -> list[Tensor]:
        """Return queries, keys and values, (B, heads, L, C / heads) each, of tokens (B, L, C)."""
        qkv = self.qkv(self.norm(tokens)).unflatten(-1, (3, self.heads, -1))
        return list(qkv.permute(2, 0, 3, 1, 4))

    def merge(self, own: Tensor, other: Tensor) -> Tensor:
        """Project the sum of two attention outputs (B, heads, L, C / heads) to (B, L, C)."""
        return self.proj((own + other).transpose(1, 2).flatten(2))


class CrossModalWindowAttention(BaseModule):
    """Window attention of two modalities to themselves and with each other's queries (HKDNet).

    In every window ``R' = proj(softmax(Qr Kr) Vr + softmax(Qd Kr) Vr)``; depth likewise with its
    own weights. The attention is repeated with shared weights. Deviation: each repetition has a
    LayerNorm and a shortcut, without which eight repetitions do not train.

    A map smaller than a window is one window. Maps that are not multiples of the window are padded,
    and the padding is masked.

    Args:
        dim (int): Channels of both modalities.
        heads (int): Attention heads.
        repeats (int): Number of repetitions.
        window (int): Side of a window.
    """

    def __init__(self, dim: int, heads: int, repeats: int, window: int = 8) -> None:
        super().__init__()
        self.repeats = repeats
        self.window = window
        self.rgb = ModalityProjection(dim, heads)
        self.depth = ModalityProjection(dim, heads)

    def forward(self, rgb: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Return attended features of both modalities, (N, C, H, W) as the inputs."""
        height, width = rgb.shape[2:]
        window = (min(self.window, height), min(self.window, width))
        padding = (0, -width % window[1], 0, -height % window[0])
        size = (height + padding[3], width + padding[1])
        mask = None
        if any(padding):
            valid = F.pad(rgb.new_ones(1, 1, height, width, dtype=torch.bool), padding)
            # (N * windows, 1, 1, L), False at padded keys.
            mask = to_windows(valid, window).transpose(1, 2).unsqueeze(1)
            mask = mask.repeat(len(rgb), 1, 1, 1)
        r, d = (to_windows(F.pad(x, padding), window) for x in (rgb, depth))
        for _ in range(self.repeats):
            r, d = self._attend(r, d, mask)
        r, d = (from_windows(x, window, size)[..., :height, :width] for x in (r, d))
        return r, d

    def _attend(self, r: Tensor, d: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        (q_r, k_r, v_r), (q_d, k_d, v_d) = self.rgb.split(r), self.depth.split(d)

        def gather(own, other, key, value):
            # Both sets of queries have the same keys, which allows a single call.
            queries = torch.cat([own, other], 2)
            return F.scaled_dot_product_attention(queries, key, value, mask).chunk(2, 2)

        return (
            r + self.rgb.merge(*gather(q_r, q_d, k_r, v_r)),
            d + self.depth.merge(*gather(q_d, q_r, k_d, v_d)),
        )
