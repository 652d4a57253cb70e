"""Shunted Transformer, the encoder of HKDNet."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmseg.models.utils import PatchEmbed, nlc_to_nchw
from torch import Tensor, nn

from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.checkpoint import read_checkpoint

from .shunted_attention import NORM, ShuntedBlock

# Per size: blocks per stage, extra 3x3 convolutions of the stem, stochastic depth.
ARCHITECTURES: dict[str, dict] = {
    'T': dict(depths=(1, 2, 4, 1), stem_convs=0, drop_path_rate=0.1),
    'S': dict(depths=(2, 4, 12, 1), stem_convs=1, drop_path_rate=0.1),
    'B': dict(depths=(3, 4, 24, 2), stem_convs=2, drop_path_rate=0.3),
}

# Names of the ImageNet release to the names used here; other names are kept.
KEY_MAP = (
    (r'^patch_embed1\.conv\.', 'stem.convs.'),
    (r'^patch_embed1\.norm\.', 'stem.patch.norm.'),
    (r'^patch_embed(\d)\.proj\.', lambda m: f'embeds.{int(m[1]) - 2}.projection.'),
    (r'^patch_embed(\d)\.norm\.', lambda m: f'embeds.{int(m[1]) - 2}.norm.'),
    (r'^block(\d)\.', lambda m: f'stages.{int(m[1]) - 1}.'),
    (r'^norm(\d)\.', lambda m: f'norms.{int(m[1]) - 1}.'),
    (r'\.attn\.sr(\d)\.', lambda m: f'.attn.branches.{int(m[1]) - 1}.reduce.projection.'),
    (r'\.attn\.norm(\d)\.', lambda m: f'.attn.branches.{int(m[1]) - 1}.reduce.norm.'),
    (r'\.attn\.kv(\d?)\.', lambda m: f'.attn.branches.{int(m[1] or 1) - 1}.kv.'),
    (r'\.attn\.local_conv(\d?)\.', lambda m: f'.attn.branches.{int(m[1] or 1) - 1}.local.'),
    (r'\.mlp\.dwconv\.dwconv\.', '.mlp.dwconv.'),
)


def convert_shunted_keys(state: dict) -> dict:
    """Rename the weights of the Shunted Transformer's ImageNet release.

    ==================================================  ==========================================
    released name                                       name here
    ==================================================  ==========================================
    patch_embed1.conv.K (its last one)                  stem.convs.K (stem.patch.projection)
    patch_embed1.norm                                   stem.patch.norm
    patch_embed{2,3,4}.{proj,norm}                      embeds.{0,1,2}.{projection,norm}
    block{1..4}.J.{norm1,norm2,attn.q,attn.proj,mlp}    stages.{0..3}.J....
    ....attn.sr{1,2}, norm{1,2}                         ....attn.branches.{0,1}.reduce.projection,
                                                        reduce.norm
    ....attn.kv{1,2}, local_conv{1,2}                   ....attn.branches.{0,1}.kv, local
    ....attn.kv, local_conv (last stage)                ....attn.branches.0.kv, local
    ....mlp.dwconv.dwconv                               ....mlp.dwconv
    norm{1..4}                                          norms.{0..3}
    head                                                (dropped)
    ==================================================  ==========================================

    Args:
        state (dict): State dict of the release or of ``ShuntedTransformer``.

    Returns:
        dict: State dict with the names used here; names that are not in the table are kept.
    """
    stem = [key for key in state if re.fullmatch(r'patch_embed1\.conv\.\d+\.weight', key)]
    last = max((int(key.split('.')[2]) for key in stem), default=None)
    converted = {}
    for key, value in state.items():
        if key.startswith('head.'):
            continue
        if last is not None:
            key = re.sub(rf'^patch_embed1\.conv\.{last}\.', 'stem.patch.projection.', key)
        for pattern, name in KEY_MAP:
            key = re.sub(pattern, name, key)
        converted[key] = value
    return converted


class ShuntedStem(BaseModule):
    """7x7 convolution of stride 2, extra 3x3 convolutions, and the embedding of 2x2 patches.

    Args:
        dim (int): Channels.
        extra (int): Number of extra convolutions.
    """

    def __init__(self, dim: int, extra: int) -> None:
        super().__init__()
        layers = [
            nn.Conv2d(3, dim, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(dim),
            nn.ReLU(inplace=True),
        ]
        for _ in range(extra):
            layers += [
                nn.Conv2d(dim, dim, 3, padding=1, bias=False),
                nn.BatchNorm2d(dim),
                nn.ReLU(inplace=True),
            ]
        self.convs = nn.Sequential(*layers)
        self.patch = PatchEmbed(dim, dim, kernel_size=2, stride=2, norm_cfg=NORM)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return tokens (N, h * w, dim) and (h, w) = (H / 4, W / 4) for images (N, 3, H, W)."""
        return self.patch(self.convs(x))


@MODELS.register_module()
class ShuntedTransformer(BaseModule):
    """Shunted Transformer (Ren et al., CVPR 2022) without its classifier; encoder of HKDNet.

    Images need at least 32 x 32 pixels. Grids that are not multiples of a reduction are padded with
    zeros; multiples of 32 need no padding.

    Args:
        arch (str): 'T' (11.04 M parameters), 'S' (21.89 M) or 'B' (39.10 M).
        embed_dims (Sequence[int]): Channels per stage.
        heads (Sequence[int]): Attention heads per stage.
        mlp_ratios (Sequence[int]): Hidden channels of the MLPs per stage, in multiples of its
            channels.
        reductions (Sequence[int]): Reduction of the grid of keys and values per stage.
        depths (Sequence[int], optional): Blocks per stage; default: those of ``arch``.
        qkv_bias (bool): Whether queries, keys and values have a bias.
        drop_path_rate (float, optional): Stochastic depth of the last block, increasing linearly
            from 0; default: that of ``arch``.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)`` loads ImageNet
            weights, either released (``convert_shunted_keys``) or saved from this class; none
            may be missing.

    Raises:
        ConfigError: ``arch`` is unknown, or heads do not fit the channels.
    """

    def __init__(
        self,
        arch: str = 'T',
        embed_dims: Sequence[int] = (64, 128, 256, 512),
        heads: Sequence[int] = (2, 4, 8, 16),
        mlp_ratios: Sequence[int] = (8, 8, 4, 4),
        reductions: Sequence[int] = (8, 4, 2, 1),
        depths: Sequence[int] | None = None,
        qkv_bias: bool = True,
        drop_path_rate: float | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if arch not in ARCHITECTURES:
            raise ConfigError(
                f'ShuntedTransformer: arch={arch!r} is unknown; use one of {tuple(ARCHITECTURES)}'
            )
        settings = ARCHITECTURES[arch]
        depths = settings['depths'] if depths is None else depths
        rate = settings['drop_path_rate'] if drop_path_rate is None else drop_path_rate
        for dim, head, reduction in zip(embed_dims, heads, reductions, strict=True):
            if dim % head or (reduction > 1 and (head % 2 or reduction % 2)):
                raise ConfigError(
                    f'ShuntedTransformer: {head} heads and reduction {reduction} do not fit '
                    f'{dim} channels; heads must divide the channels, and heads and reduction must '
                    'be even if the reduction is above 1; change heads, reductions or embed_dims'
                )
        self.out_channels = tuple(embed_dims)
        self.stem = ShuntedStem(embed_dims[0], settings['stem_convs'])
        self.embeds = nn.ModuleList(
            [
                PatchEmbed(below, dim, kernel_size=3, stride=2, padding=1, norm_cfg=NORM)
                for below, dim in pairwise(embed_dims)
            ]
        )
        last = max(sum(depths) - 1, 1)
        rates = (rate * block / last for block in range(sum(depths)))
        self.stages = nn.ModuleList(
            [
                nn.ModuleList(
                    [
                        ShuntedBlock(dim, head, reduction, ratio, qkv_bias, next(rates))
                        for _ in range(depth)
                    ]
                )
                for dim, head, reduction, ratio, depth in zip(
                    embed_dims, heads, reductions, mlp_ratios, depths, strict=True
                )
            ]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(dim, eps=NORM['eps']) for dim in embed_dims])

    def init_weights(self) -> None:
        """Initialise the weights as the released code does, or load the file of ``init_cfg``.

        Raises:
            CheckpointError: Weights are missing in the file or have other shapes.
        """
        if (self.init_cfg or {}).get('type') == 'Pretrained':
            self._load_pretrained(self.init_cfg['checkpoint'])
            return
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
            elif isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * math.prod(module.kernel_size) / module.groups
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
            if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def _load_pretrained(self, checkpoint: str) -> None:
        state, _ = read_checkpoint(checkpoint, 'weights of the Shunted Transformer')
        state = convert_shunted_keys(
            {key.removeprefix('backbone.'): value for key, value in state.items()}
        )
        own = self.state_dict()
        missing = [key for key in own if key not in state and not key.endswith('_tracked')]
        wrong = [key for key in own if key in state and state[key].shape != own[key].shape]
        if missing or wrong:
            first = (missing + wrong)[0]
            raise CheckpointError(
                f'{checkpoint} does not fit ShuntedTransformer: {len(missing)} weights are missing '
                f'and {len(wrong)} have another shape, first {first}; use weights of the same arch'
            )
        unused = sorted(state.keys() - own.keys())
        if unused:
            print_log(f'{checkpoint}: {len(unused)} weights are not used: {unused[:5]}', 'current')
        self.load_state_dict({key: state[key] for key in own if key in state}, strict=False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the features of the four stages.

        Args:
            x (Tensor): Images (N, 3, H, W).

        Returns:
            tuple[Tensor]: (N, C_k, H / s, W / s) at strides s = 4, 8, 16, 32, rounded up.
        """
        outs = []
        for stage, (blocks, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            tokens, size = self.stem(x) if stage == 0 else self.embeds[stage - 1](x)
            for block in blocks.children():
                tokens = block(tokens, size)
            x = nlc_to_nchw(norm(tokens), size).contiguous()
            outs.append(x)
        return tuple(outs)
