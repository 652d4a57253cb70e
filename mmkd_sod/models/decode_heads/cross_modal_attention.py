"""Attention of two modalities in windows (HKDNet)."""
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


def to_windows(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Cut (N, C, H, W) into windows: (N * windows, h * w, C); H and W are multiples of (h, w)."""
    n, c, height, width = x.shape
    h, w = window
    x = x.view(n, c, height // h, h, width // w, w).permute(0, 2, 4, 3, 5, 1)
    return x.reshape(-1, h * w, c)


def from_windows(tokens: Tensor, window: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """The inverse of :func:`to_windows`, for maps of ``size`` (H, W)."""
    (h, w), (height, width) = window, size
    x = tokens.view(-1, height // h, width // w, h, w, tokens.shape[-1])
    return x.permute(0, 5, 1, 3, 2, 4).reshape(-1, tokens.shape[-1], height, width)


class ModalityProjection(BaseModule):
    """Norm, queries, keys, values and output of one modality."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def split(self, tokens: Tensor) -> list[Tensor]:
        """Queries, keys and values, each (B, heads, L, C / heads), of tokens (B, L, C)."""
        qkv = self.qkv(self.norm(tokens)).unflatten(-1, (3, self.heads, -1))
        return list(qkv.permute(2, 0, 3, 1, 4))

    def merge(self, own: Tensor, other: Tensor) -> Tensor:
        """(B, L, C) from what both queries gathered, (B, heads, L, C / heads) each."""
        return self.proj((own + other).transpose(1, 2).flatten(2))


class CrossModalWindowAttention(BaseModule):
    """Each modality attends within itself, and is looked at with the other's queries.

    In every window ``R' = proj(softmax(Qr Kr) Vr + softmax(Qd Kr) Vr)``, the depth map's alike with
    its own weights; this repeats with shared weights. Deviation: a LayerNorm before and a shortcut
    around each repetition, without which eight of them do not train.

    Windows follow the image: a map smaller than a window is one window, and where the side does not
    divide, the last windows are filled up and the filling is masked.

    Args:
        dim (int): Channels of both modalities.
        heads (int): Attention heads.
        repeats (int): How often the attention is applied.
        window (int): Side of a window.
    """

    def __init__(self, dim: int, heads: int, repeats: int, window: int = 8) -> None:
        super().__init__()
        self.repeats = repeats
        self.window = window
        self.rgb = ModalityProjection(dim, heads)
        self.depth = ModalityProjection(dim, heads)

    def forward(self, rgb: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) of both modalities, in and out."""
        height, width = rgb.shape[2:]
        window = (min(self.window, height), min(self.window, width))
        fill = (0, -width % window[1], 0, -height % window[0])
        size = (height + fill[3], width + fill[1])
        mask = None
        if any(fill):
            valid = F.pad(rgb.new_ones(1, 1, height, width, dtype=torch.bool), fill)
            # (N * windows, 1, 1, L): keys that no query may look at are False.
            mask = to_windows(valid, window).transpose(1, 2).unsqueeze(1)
            mask = mask.repeat(len(rgb), 1, 1, 1)
        r, d = (to_windows(F.pad(x, fill), window) for x in (rgb, depth))
        for _ in range(self.repeats):
            r, d = self._attend(r, d, mask)
        r, d = (from_windows(x, window, size)[..., :height, :width] for x in (r, d))
        return r, d

    def _attend(self, r: Tensor, d: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        (q_r, k_r, v_r), (q_d, k_d, v_d) = self.rgb.split(r), self.depth.split(d)

        def gather(own, other, key, value):
            # Both sets of queries look at the same keys: one call.
            queries = torch.cat([own, other], 2)
            return F.scaled_dot_product_attention(queries, key, value, mask).chunk(2, 2)

        return (r + self.rgb.merge(*gather(q_r, q_d, k_r, v_r)),
                d + self.depth.merge(*gather(q_d, q_r, k_d, v_d)))
