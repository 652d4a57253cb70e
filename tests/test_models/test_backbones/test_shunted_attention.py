"""Shunted attention: comparison with the formula, uneven grids, gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.models.backbones.shunted_attention import (
    ConvMLP,
    ShuntedAttention,
    ShuntedBlock,
    TokenBranch,
)


def grid(tokens, size):
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *size)


def tokens(feat):
    return feat.flatten(2).transpose(1, 2)


def attend(query, key, value):
    """Compute softmax attention of one head; arguments (N, L, d)."""
    weights = (query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])).softmax(-1)
    return weights @ value


def test_reduced_heads_by_hand():
    module, x, size = ShuntedAttention(16, heads=4, reduction=2), torch.randn(2, 24, 16), (4, 6)
    query = module.q(x)
    heads = []
    for part, branch in enumerate(module.branches):
        conv, norm = branch.reduce.projection, branch.reduce.norm
        r = 2 // (part + 1)
        assert conv.kernel_size == conv.stride == (r, r)
        small = grid(x, size)
        small = F.gelu(norm(tokens(conv(small))))
        key, value = branch.kv(small).split(8, -1)
        coarse = (size[0] // r, size[1] // r)
        value = value + tokens(branch.local(grid(value, coarse)))
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            q = query[..., 8 * part : 8 * part + 8][..., own]
            heads.append(attend(q, key[..., own], value[..., own]))
    expected = module.proj(torch.cat(heads, -1))
    torch.testing.assert_close(module(x, size), expected)


def test_unreduced_heads_by_hand():
    module, x, size = ShuntedAttention(8, heads=2, reduction=1), torch.randn(2, 15, 8), (3, 5)
    (branch,) = module.branches
    key, value = branch.kv(x).split(8, -1)
    query = module.q(x)
    heads = [attend(query[..., s], key[..., s], value[..., s]) for s in (slice(0, 4), slice(4, 8))]
    # The convolution of the values is added to the attention output at each position.
    expected = module.proj(torch.cat(heads, -1) + tokens(branch.local(grid(value, size))))
    torch.testing.assert_close(module(x, size), expected)


def test_a_grid_that_does_not_divide_is_padded():
    branch = TokenBranch(8, 4, 2, reduction=4, qkv_bias=True)
    key, value, local = branch(torch.randn(1, 5 * 7, 8), (5, 7))
    assert key.shape == value.shape == local.shape == (1, 2, 2 * 2, 2)


def test_mlp_by_hand():
    mlp, x = ConvMLP(4, 12), torch.randn(1, 6, 4)
    hidden = grid(mlp.fc1(x), (2, 3))
    expected = mlp.fc2(tokens(F.gelu(hidden + mlp.dwconv(hidden))))
    torch.testing.assert_close(mlp(x, (2, 3)), expected)


@pytest.mark.parametrize('reduction', [1, 4])
def test_every_weight_gets_a_gradient(reduction):
    block = ShuntedBlock(8, 2, reduction, 2)
    block(torch.randn(2, 64, 8), (8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())


def test_drop_path_skips_samples_in_training_only():
    block = ShuntedBlock(8, 2, 1, 2, drop_path=0.9)
    x = torch.randn(64, 4, 8)
    same = (block(x, (2, 2)) == x).flatten(1).all(1)
    assert same.sum() > 30
    block.eval()
    assert not (block(x, (2, 2)) == x).flatten(1).all(1).any()
