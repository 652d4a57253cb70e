"""3x3 convolutions of a frozen teacher by Winograd's algorithm, for CPUs."""
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .frozen_convolution import FrozenConvolution, frozen_convolutions, replace_forwards

TILE = 4  # outputs a side of a tile
# Where the polynomials are evaluated; these keep rounding smaller than 0, +-1, +-2 do.
_POINTS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2))
# Below these, transforms and idle tiles cost what the products save.
_MIN_CHANNELS = 64
_MIN_PRODUCT = 128 * 64  # channels in times channels out
_MIN_PIXELS = 600  # of the batch


def _product(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients, lowest first, of the polynomial with these roots."""
    found = [Fraction(1)]
    for root in roots:
        found = [low - root * high for low, high in zip([0, *found], [*found, 0], strict=True)]
    return found


def _matrices() -> tuple[list, list, list]:
    """The transforms of outputs, weights and inputs, by Cook and Toom."""
    outputs = [[point**power for point in _POINTS] + [Fraction(power == TILE - 1)]
               for power in range(TILE)]
    weights, inputs = [], []
    for point in _POINTS:
        others = [other for other in _POINTS if other != point]
        scale = Fraction(1)
        for other in others:
            scale *= point - other
        weights.append([point**power / scale for power in range(3)])
        inputs.append([*_product(others), Fraction(0)])
    weights.append([Fraction(0), Fraction(0), Fraction(1)])  # the point at infinity
    inputs.append(_product(_POINTS))
    return tuple([[float(value) for value in row] for row in rows]
                 for rows in (outputs, weights, inputs))


_OUTPUTS, _WEIGHTS, _INPUTS = _matrices()
_SIDE = len(_INPUTS)  # of a tile of inputs


def _combine(factors: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    """Sum of the parts times their factors, without those that count nothing."""
    total = None
    for factor, part in zip(factors, parts, strict=True):
        if factor:
            term = part if factor == 1 else part * factor
            total = term if total is None else total + term
    return total


def _transform_inputs(x: Tensor, rows: int, columns: int) -> Tensor:
    """(N, H, W, C), padded to whole tiles, to (36, N * rows * columns, C)."""
    channels = x.shape[-1]
    lines = [x[:, i:i + TILE * (rows - 1) + 1:TILE] for i in range(_SIDE)]
    found = []
    for factors in _INPUTS:
        line = _combine(factors, lines)
        cells = [line[:, :, j:j + TILE * (columns - 1) + 1:TILE] for j in range(_SIDE)]
        found += [_combine(row, cells).reshape(-1, channels) for row in _INPUTS]
    return torch.stack(found)


def _transform_outputs(x: Tensor, images: int, rows: int, columns: int) -> Tensor:
    """(36, N * rows * columns, C) to (N, rows * TILE, columns * TILE, C)."""
    channels = x.shape[-1]
    cells = x.view(_SIDE, _SIDE, images, rows, columns, channels)
    found = []
    for factors in _OUTPUTS:
        line = _combine(factors, [cells[i] for i in range(_SIDE)])
        parts = [line[j] for j in range(_SIDE)]
        found.append(torch.stack([_combine(row, parts) for row in _OUTPUTS], 3))
    return torch.stack(found, 2).reshape(images, rows * TILE, columns * TILE, channels)


def transform_weights(weight: Tensor) -> Tensor:
    """(C_out, C_in, 3, 3) to (36, C_in, C_out)."""
    matrix = torch.tensor(_WEIGHTS, dtype=torch.float64)
    both = torch.kron(matrix, matrix)
    out, channels = weight.shape[:2]
    flat = weight.double().permute(2, 3, 1, 0).reshape(9, channels * out)
    return (both @ flat).view(_SIDE**2, channels, out).to(weight.dtype)


class Winograd(FrozenConvolution):
    """A 3x3 convolution of stride and padding 1 with fixed weights, a tile at a time.

    Source: Lavin and Gray (arXiv 1509.09308), F(4 x 4, 3 x 3): 36 products instead of 144. The
    answers differ from a direct convolution's by rounding, some 1e-5 of their deviation. Takes
    four times the weights' memory, twice that where gradients pass.

    Args:
        conv (nn.Conv2d): The convolution; what it was runs for small maps.
        compiled (tuple[Callable, Callable]): The transforms of inputs and outputs.
    """

    def __init__(self, conv: nn.Conv2d, compiled: tuple[Callable, Callable]) -> None:
        super().__init__(conv)
        self.compiled = compiled

    def takes(self, x: Tensor) -> bool:
        """Whether an input is one that this is made for, and worth it."""
        return super().takes(x) and x.shape[0] * x.shape[2] * x.shape[3] >= _MIN_PIXELS

    def prepare(self, weight: Tensor, x: Tensor) -> Tensor:
        """To (36, C_in, C_out)."""
        return transform_weights(weight)

    def run(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Convolve (N, C, H, W); the result is in channels_last."""
        images, _, height, width = x.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        padded = F.pad(x.permute(0, 2, 3, 1), (
            0, 0, 1, 1 + columns * TILE - width, 1, 1 + rows * TILE - height))
        transform, back = self.compiled
        products = torch.bmm(transform(padded, rows, columns), weight)
        found = back(products, images, rows, columns)[:, :height, :width]
        return (found if bias is None else found + bias).permute(0, 3, 1, 2)


def _fits(conv: nn.Conv2d) -> bool:
    return (conv.kernel_size == (3, 3) and conv.dilation == (1, 1)
            and min(conv.in_channels, conv.out_channels) >= _MIN_CHANNELS
            and conv.in_channels * conv.out_channels >= _MIN_PRODUCT)


def use_winograd(teacher: nn.Module, leave: Sequence[nn.Module] = ()) -> Callable[[], None]:
    """Let a frozen network's wide 3x3 convolutions run by Winograd's algorithm.

    Args:
        teacher (nn.Module): The network, on a CPU.
        leave (Sequence[nn.Module]): Parts that stay as they are.

    Returns:
        Callable: Undoes it.
    """
    compiled = tuple(torch.compile(transform, dynamic=True)
                     for transform in (_transform_inputs, _transform_outputs))
    return replace_forwards(Winograd(conv, compiled)
                            for conv in frozen_convolutions(teacher, leave) if _fits(conv))
