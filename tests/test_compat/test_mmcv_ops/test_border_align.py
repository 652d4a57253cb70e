"""Border features of boxes; mmcv has no compiled operator of it on a CPU."""

import pytest
import torch
import torch.nn.functional as F

from mmkd_sod.compat.mmcv_ops import border_align as ours

from .parity import Operators


@pytest.fixture
def operators(monkeypatch):
    return Operators('border_align', ours, monkeypatch)


def made(dtype=torch.float64):
    maps = torch.randn(2, 12, 6, 7, dtype=dtype)
    corner = torch.rand(2, 5, 2, dtype=dtype) * 3
    return maps, torch.cat([corner, corner + torch.rand(2, 5, 2, dtype=dtype) * 2], 2)


def by_grid_sampling(maps, boxes, steps):
    """With samples inside the map only."""
    x1, y1, x2, y2 = boxes.unbind(2)
    share = torch.arange(steps + 1, dtype=maps.dtype) / steps
    sides = []
    for side, (start, end) in enumerate(
        (((x1, y1), (x2, y1)), ((x1, y1), (x1, y2)), ((x2, y2), (x1, y2)), ((x2, y2), (x2, y1)))
    ):
        x, y = (a[..., None] + (b - a)[..., None] * share for a, b in zip(start, end, strict=True))
        grid = torch.stack([x / 3 - 1, y / 2.5 - 1], -1)
        sampled = F.grid_sample(maps[:, side * 3 : side * 3 + 3], grid, align_corners=True)
        sides.append(sampled.amax(3))
    return torch.stack(sides, -1)


@pytest.mark.parametrize('steps', [1, 4])
def test_each_side_is_its_largest_sample(operators, steps):
    maps, boxes = made()
    one, other = (maps.clone().requires_grad_() for _ in range(2))
    result, expected = (
        operators.border_align(one, boxes, steps),
        by_grid_sampling(other, boxes, steps),
    )
    torch.testing.assert_close(result, expected)
    weighting = torch.randn_like(result)
    torch.testing.assert_close(
        *(
            torch.autograd.grad((value * weighting).sum(), leaf)[0]
            for value, leaf in ((result, one), (expected, other))
        )
    )


def test_no_boxes_half_precision_and_the_module(operators):
    maps, boxes = made(torch.float32)
    module = operators.BorderAlign(3)
    assert module(maps, boxes[:, :0]).shape == (2, 3, 0, 4)
    half = module(maps.half(), boxes.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(
        half.float(), module(maps.half().float(), boxes.half().float()), rtol=2e-3, atol=2e-3
    )
