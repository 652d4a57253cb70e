"""Position attention: blocks of the grid, modes of the convolutions, and a reference."""

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.position_attention import (
    PositionProjection,
    attended_values,
    grid_blocks,
    position_attention,
)

from . import cskd_oracle as oracle

SIZES = [(20, 20), (33, 65), (11, 7), (6, 5), (3, 2), (1, 1), (21, 4)]


def plain_map(feat, gamma, tau, convs, grid):
    return torch.cat(
        [
            torch.cat(
                [
                    oracle.position_attention(block, gamma, tau, convs)
                    for block in row.chunk(grid[1], 3)
                ],
                3,
            )
            for row in feat.chunk(grid[0], 2)
        ],
        2,
    )


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('grid', [(5, 5), (1, 1), (2, 3)])
def test_blocks_are_those_of_torch_chunk(size, grid):
    feat = torch.arange(2 * 3 * size[0] * size[1]).view(2, 3, *size)
    wanted = sorted(
        tuple(block.flatten().tolist())
        for row in feat.chunk(grid[0], 2)
        for block in row.chunk(grid[1], 3)
    )
    stacks = grid_blocks(feat, grid)
    assert len(stacks) <= 4
    got = sorted(
        tuple(block.permute(0, 3, 1, 2).flatten().tolist())
        for stack in stacks
        for row in stack
        for block in row
    )
    assert got == wanted


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('mode', ['fixed', 'learned'])
def test_agrees_with_the_reference(size, mode):
    projection = PositionProjection(16, 0.7, mode).double()
    feat = torch.randn(2, 16, *size, dtype=torch.float64)
    gamma = torch.tensor(0.4, dtype=torch.float64)
    convs = (projection.query, projection.key, projection.value)
    wanted = plain_map(feat, gamma, 0.7, convs, (5, 5))
    for x in (feat, feat.to(memory_format=torch.channels_last)):
        got = position_attention(x, gamma, *projection.convolutions(x), (5, 5))
        assert torch.allclose(got, wanted)


def test_hand_worked():
    # Equal queries: every position gets the mean of the values, 2 and 4, times gamma, plus itself.
    weight = torch.zeros(1, 10, 8)
    weight[0, 2:] = 2 * torch.eye(8)
    feat = torch.stack([torch.ones(8), 2 * torch.ones(8)], -1).view(1, 8, 1, 2)
    out = position_attention(feat, torch.tensor(0.5), weight, torch.zeros(1, 10), (1, 1))
    assert out[0, 0, 0].tolist() == pytest.approx([1 + 0.5 * 3, 2 + 0.5 * 3])


def test_one_set_per_block():
    projection = PositionProjection(8, 2.0, 'resampled')
    blocks = torch.randn(3, 2, 4, 8)
    weight, bias = projection.draw(blocks)
    together = attended_values(blocks, weight, bias)
    for i in range(3):
        alone = attended_values(blocks[i : i + 1], weight[i : i + 1], bias[i : i + 1])
        assert torch.allclose(together[i], alone[0], atol=1e-6)


def test_draws_are_those_of_a_convolution():
    weight, bias = PositionProjection(64, 1.0, 'resampled').draw(torch.empty(40, 1, 1, 64))
    conv = torch.nn.Conv2d(64, 4000, 1)
    for drawn, own in ((weight, conv.weight), (bias, conv.bias)):
        assert drawn.abs().max().item() == pytest.approx(own.abs().max().item(), rel=1e-2)
        assert drawn.std().item() == pytest.approx(own.std().item(), rel=0.05)


def test_draws_change_and_leave_the_random_stream():
    """Test that draws differ, are reproducible and do not use torch's global generator."""
    one, two = (PositionProjection(16, 2.0, 'resampled') for _ in range(2))
    before = torch.random.get_rng_state()
    blocks = torch.empty(2, 1, 1, 16)
    first, second = one.draw(blocks)[0], one.draw(blocks)[0]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])
    assert torch.equal(two.draw(blocks)[0], first)
    assert not list(one.parameters())


def test_modes():
    assert all(p.requires_grad for p in PositionProjection(8, 2.0, 'learned').parameters())
    fixed = PositionProjection(8, 2.0, 'fixed')
    assert len(fixed.state_dict()) == 6 and not any(p.requires_grad for p in fixed.parameters())
    with pytest.raises(ConfigError, match="projection='random' is unknown"):
        PositionProjection(8, 2.0, 'random')
    with pytest.raises(ConfigError, match='got 4 channels'):
        PositionProjection(4)
