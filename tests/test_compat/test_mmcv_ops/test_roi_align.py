"""RoI align."""

import pytest
import torch

from mmkd_sod.compat.mmcv_ops import roi_align as ours

from .parity import FORWARD, Operators, assert_alike, difference, needs_compiled


@pytest.fixture
def operators(monkeypatch):
    return Operators('roi_align', ours, monkeypatch)


def made(dtype=torch.float32, number=2, rois=24, size=(9, 13), scale=0.25):
    """Maps, and RoIs of all sizes inside, across the border and outside."""
    maps = torch.randn(number, 3, *size, dtype=dtype)
    extent = torch.tensor([size[1], size[0]], dtype=dtype) / scale
    centre = (torch.rand(rois, 2, dtype=dtype) * 1.4 - 0.2) * extent
    half = torch.rand(rois, 2, dtype=dtype) ** 3 * extent
    image = torch.randint(0, number, (rois, 1)).to(dtype)
    return maps, torch.cat([image, centre - half, centre + half], 1)


def by_hand(maps, rois, bins, scale, ratio, mode, aligned):
    """One sample at a time, in double precision."""

    def pixel(plane, y, x):
        (height, width), total = plane.shape, 0.0
        if not (-1 <= y <= height and -1 <= x <= width):
            return 0.0
        y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        for row in range(height):
            for column in range(width):
                total += (
                    max(0, 1 - abs(y - row))
                    * max(0, 1 - abs(x - column))
                    * float(plane[row, column])
                )
        return total

    result = torch.zeros(len(rois), maps.shape[1], bins, bins, dtype=torch.float64)
    for number, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (one * scale - (0.5 if aligned else 0) for one in box)
        width, height = (max(one, 0 if aligned else 1) for one in (x2 - x1, y2 - y1))
        grid = [ratio or -int(-one // bins) for one in (height, width)]
        for channel, row, column in torch.cartesian_prod(
            torch.arange(maps.shape[1]), torch.arange(bins), torch.arange(bins)
        ).tolist():
            values = [
                pixel(
                    maps[int(image), channel],
                    y1 + (row + (i + 0.5) / grid[0]) * height / bins,
                    x1 + (column + (j + 0.5) / grid[1]) * width / bins,
                )
                for i in range(grid[0])
                for j in range(grid[1])
            ]
            if mode == 'avg':
                result[number, channel, row, column] = sum(values) / max(1, len(values))
            else:
                result[number, channel, row, column] = max(values)
    return result


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('ratio', [0, 2])
def test_each_bin_is_the_mean_or_maximum_of_its_samples(operators, mode, ratio, aligned):
    maps, rois = made(torch.float64, rois=5, size=(5, 6))
    result = operators.roi_align(maps[:, :1], rois, 2, 0.25, ratio, mode, aligned)
    expected = by_hand(maps[:, :1], rois, 2, 0.25, ratio, mode, aligned)
    torch.testing.assert_close(result, expected)


def test_a_roi_of_whole_pixels(operators):
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    rois = torch.tensor([[0.0, 0, 0, 4, 4]])
    assert operators.roi_align(maps, rois, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert operators.roi_align(maps, rois, 4)[0, 0].tolist() == maps[0, 0].tolist()


def test_no_rois_and_rois_without_area(operators):
    maps = torch.randn(2, 3, 5, 5).requires_grad_()
    for mode, ratio in (('avg', 0), ('avg', 2), ('max', 0), ('max', 2)):
        result = operators.roi_align(maps, torch.zeros(0, 5), 7, 1.0, ratio, mode)
        assert result.shape == (0, 3, 7, 7)
        assert not torch.autograd.grad(result.sum(), maps)[0].any()
    point = torch.tensor([[1.0, 3, 3, 3, 3]])
    result = operators.roi_align(maps, point, 2)
    assert not result.any()
    # A fixed grid samples the point itself.
    result = operators.roi_align(maps, point, 2, 1.0, 2)
    torch.testing.assert_close(result[0, :, 0, 0], maps[1, :, 2:4, 2:4].mean((1, 2)))


@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('mode', ['avg', 'max'])
def test_gradients_are_those_of_the_output(operators, mode, ratio):
    maps, rois = made(torch.float64, size=(5, 6))
    assert torch.autograd.gradcheck(
        lambda maps: operators.roi_align(maps, rois, (2, 3), 0.25, ratio, mode),
        maps.requires_grad_(),
        fast_mode=True,
    )


def test_parts_and_strides_change_nothing(operators, monkeypatch):
    maps, rois = made()
    weighting = torch.randn(24, 3, 4, 4)

    def run(maps, mode):
        leaf = maps.detach().requires_grad_()
        result = operators.roi_align(leaf, rois, 4, 0.25, 0, mode)
        return result, torch.autograd.grad((result * weighting).sum(), leaf)[0]

    whole = {mode: run(maps, mode) for mode in ('avg', 'max')}
    monkeypatch.setitem(ours.ENTRIES, 'cpu', 500)
    for mode, expected in whole.items():
        for strided in (maps, maps.to(memory_format=torch.channels_last), maps.mT.contiguous().mT):
            for one, other in zip(run(strided, mode), expected, strict=True):
                torch.testing.assert_close(one, other)


def test_half_precision(operators):
    """Places are computed in single precision, so that wide maps are sampled where they should."""
    maps, rois = torch.rand(1, 2, 4, 600).half(), torch.tensor([[0.0, 1000, 0, 1008, 8]]).half()
    for mode in ('avg', 'max'):
        leaf = maps.requires_grad_()
        result = operators.roi_align(leaf, rois, 2, 0.5, 0, mode)
        exact = operators.roi_align(maps.float(), rois.float(), 2, 0.5, 0, mode)
        assert result.dtype == torch.float16
        assert difference(result.float(), exact) < 2e-3
        assert torch.isfinite(torch.autograd.grad(result.sum(), leaf)[0]).all()


@needs_compiled
@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('mode', ['avg', 'max'])
@pytest.mark.parametrize('ratio', [0, 1, 3])
def test_agrees_with_the_compiled_one(operators, mode, ratio, aligned):
    for bins in (1, (3, 5), 7):
        for dtype in (torch.float32, torch.float64):
            maps, rois = made(dtype)
            assert_alike(
                operators,
                lambda maps, rois=rois, bins=bins: operators.roi_align(
                    maps, rois, bins, 0.25, ratio, mode, aligned
                ),
                maps,
            )


@needs_compiled
def test_agrees_on_whole_positions_and_points(operators):
    maps, rois = made(rois=40, scale=1.0)
    rois = torch.cat(
        [
            rois.round(),
            torch.tensor(
                [[1.0, 4, 4, 4, 4], [0, -9, -9, -9, -9], [0, 0, 0, 13, 9], [1, -1, -1, 14, 10]]
            ),
        ]
    )
    for aligned in (True, False):
        for mode in ('avg', 'max'):
            assert_alike(
                operators,
                lambda maps, aligned=aligned, mode=mode: operators.roi_align(
                    maps, rois, 3, 1.0, 0, mode, aligned
                ),
                maps,
            )


@needs_compiled
def test_the_module_runs_on_ours(operators):
    maps, rois = made()
    module = operators.RoIAlign((7, 7), 0.25, 0)
    mine, other = operators.both(lambda: module(maps, rois))
    assert difference(mine, other) <= FORWARD
