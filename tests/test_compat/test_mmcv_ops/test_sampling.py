"""Bilinear weights and sums of rows."""

import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops._sampling import (
    crossed,
    edge_padded,
    spread_rows,
    to_maps,
    to_rows,
    weighted_rows,
    zero_padded,
)


def values(rule, positions, line):
    """What a rule reads off a line of pixels."""
    index, weight = rule(torch.tensor(positions), len(line))
    return (torch.tensor(line)[index.long()] * weight).sum(-1).tolist()


def test_beyond_the_border():
    positions, line = [-1.5, -1.0, -0.5, 0.0, 0.5, 2.0, 2.5, 3.0, 3.5, torch.nan], [2.0, 4.0, 8.0]
    assert values(zero_padded, positions, line) == [0, 0, 1, 2, 3, 8, 4, 0, 0, 0]
    assert values(edge_padded, positions[:-1], line) == [0, 2, 2, 2, 3, 8, 8, 8, 0]
    for rule in (zero_padded, edge_padded):
        index, _ = rule(torch.linspace(-9, 9, 50), 3)
        assert index.min() == 0 and index.max() == 2


def test_zero_padded_is_grid_sampling():
    maps = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    grid = torch.rand(2, 4, 6, 2, dtype=torch.float64) * 3 - 1.5
    expected = F.grid_sample(maps, grid, align_corners=False)
    x, y = ((grid[..., axis] + 1) * size / 2 - 0.5 for axis, size in ((0, 7), (1, 5)))
    index, weight = crossed(zero_padded(y, 5), zero_padded(x, 7), 7)
    index = index + torch.arange(2).view(2, 1, 1, 1).int() * 35
    rows = weighted_rows(to_rows(maps), index.flatten(0, 2), weight.flatten(0, 2))
    torch.testing.assert_close(to_maps(rows, (2, 3, 4, 6)), expected)


def test_rows_and_maps():
    maps = torch.randn(2, 6, 3, 4)
    assert torch.equal(to_maps(to_rows(maps), maps.shape), maps)
    # A group's channels are a row of their own.
    assert torch.equal(to_rows(maps, 2)[1], maps[0, 3:, 0, 0])
    assert to_rows(maps[:1]).is_contiguous()


def test_spreading_is_the_gradient_of_summing():
    table = torch.randn(9, 4, requires_grad=True)
    # Some rows are used twice in a sum, some not at all.
    index, weight = torch.randint(0, 5, (6, 3)).int(), torch.rand(6, 3)
    sums = weighted_rows(table, index, weight)
    grad = torch.randn_like(sums)
    source = torch.arange(6).repeat_interleave(3).int()
    torch.testing.assert_close(
        spread_rows(grad, source, index.flatten(), weight.flatten(), 9),
        torch.autograd.grad(sums, table, grad)[0],
    )
