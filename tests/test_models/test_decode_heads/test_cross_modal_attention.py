"""Cross-modal window attention: comparison with the formula, and windows at image borders."""

import math

import pytest
import torch

from mmkd_sod.models.decode_heads.cross_modal_attention import (
    CrossModalWindowAttention,
    from_windows,
    to_windows,
)


def test_windows_are_inverted():
    x = torch.arange(2 * 3 * 4 * 6.0).view(2, 3, 4, 6)
    tokens = to_windows(x, (2, 3))
    assert tokens.shape == (2 * 4, 6, 3)
    torch.testing.assert_close(tokens[1, :, 0], x[0, 0, :2, 3:].flatten())
    torch.testing.assert_close(from_windows(tokens, (2, 3), (4, 6)), x)


def test_one_window_by_hand():
    module = CrossModalWindowAttention(4, heads=1, repeats=1, window=2)
    r, d = torch.randn(2, 1, 4, 2, 2)

    def project(branch, x):
        tokens = x.flatten(2).transpose(1, 2)
        return tokens, *branch.qkv(branch.norm(tokens)).split(4, -1)

    def look(query, key, value):
        return (query @ key.transpose(1, 2) / math.sqrt(4)).softmax(-1) @ value

    (r0, q_r, k_r, v_r), (d0, q_d, k_d, v_d) = project(module.rgb, r), project(module.depth, d)
    want_r = r0 + module.rgb.proj(look(q_r, k_r, v_r) + look(q_d, k_r, v_r))
    want_d = d0 + module.depth.proj(look(q_d, k_d, v_d) + look(q_r, k_d, v_d))
    for out, want in zip(module(r, d), (want_r, want_d), strict=True):
        torch.testing.assert_close(out.flatten(2).transpose(1, 2), want)


@pytest.mark.parametrize('repeats', [1, 3])
def test_padding_has_no_effect_on_the_result(repeats):
    module = CrossModalWindowAttention(8, heads=2, repeats=repeats, window=4)
    r, d = torch.randn(2, 2, 8, 6, 5)
    out = module(r, d)
    for rows in (slice(0, 4), slice(4, 6)):
        for columns in (slice(0, 4), slice(4, 5)):
            # A map smaller than a window is one window.
            part = module(r[..., rows, columns], d[..., rows, columns])
            for whole, piece in zip(out, part, strict=True):
                torch.testing.assert_close(whole[..., rows, columns], piece)


def test_repetitions_share_their_weights():
    once, twice = (CrossModalWindowAttention(8, 2, repeats, 4) for repeats in (1, 2))
    twice.load_state_dict(once.state_dict())
    x = torch.randn(2, 1, 8, 4, 4)
    for a, b in zip(once(*once(*x)), twice(*x), strict=True):
        torch.testing.assert_close(a, b)
