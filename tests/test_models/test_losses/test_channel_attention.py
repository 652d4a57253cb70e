"""Channel attention by hand and against a reference; golden test: that of the loss."""

import pytest
import torch

from mmkd_sod.models.losses.channel_attention import (
    attended_channels,
    channel_attention,
    channel_weights,
)

from . import cskd_oracle as oracle


def test_hand_worked():
    # One position: E = [[1, 2], [2, 4]]; (rowmax - E) / 1 = [[1, 0], [2, 0]].
    feat = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    first, second = torch.sigmoid(torch.tensor([1.0, 2.0]))
    weights = channel_weights(feat.flatten(2), tau=1.0)
    assert torch.allclose(
        weights[0],
        torch.stack([torch.stack([first, 1 - first]), torch.stack([second, 1 - second])]),
    )
    out = channel_attention(feat, torch.tensor(0.5), tau=1.0).flatten()
    assert out.tolist() == pytest.approx(
        [1 + 0.5 * (first + 2 * (1 - first)).item(), 2 + 0.5 * (second + 2 * (1 - second)).item()]
    )


@pytest.mark.parametrize('tau', [0.5, 2.0])
def test_agrees_with_the_reference(tau):
    feat = torch.randn(3, 6, 4, 5, dtype=torch.float64)
    gamma = torch.tensor(0.4, dtype=torch.float64)
    for x in (feat, feat.to(memory_format=torch.channels_last)):
        assert torch.allclose(
            channel_attention(x, gamma, tau), oracle.channel_attention(feat, gamma, tau)
        )


def test_gamma_zero_returns_the_feature():
    feat = torch.randn(2, 5, 3, 3)
    assert torch.equal(channel_attention(feat, torch.zeros(1)), feat)


def test_gradcheck():
    feat = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    gamma = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(channel_attention, (feat, gamma))


@pytest.mark.parametrize('scale', [0.01, 1.0, 100.0])
def test_attended_channels_agree_with_the_full_product(scale):
    """Test flat and almost one-hot weights."""
    feat = torch.randn(3, 40, 60) * scale
    weights = channel_weights(feat, 2.0)
    dense = (weights > 1e-9).float().mean()
    assert (dense > 0.9) if scale < 1 else (dense < 0.1 if scale > 1 else True)
    for rows in (slice(None), slice(3, 11)):
        got = attended_channels(weights[:, rows], feat)
        assert torch.allclose(got, weights[:, rows] @ feat, rtol=1e-5, atol=1e-6 * scale)


def test_attended_channels_keep_rows_apart():
    """Test that one-hot weights select channels of the same image."""
    feat = torch.randn(2, 64, 5)
    weights = torch.zeros(2, 2, 64)
    weights[0, 0, 7] = weights[0, 1, 63] = weights[1, 0, 0] = weights[1, 1, 7] = 1
    wanted = torch.stack([feat[0, [7, 63]], feat[1, [0, 7]]])
    assert torch.equal(attended_channels(weights, feat), wanted)
