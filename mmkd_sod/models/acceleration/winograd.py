"""3x3 convolutions of a frozen teacher by Winograd's algorithm, for CPUs."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .memory_format import to_channels_last, to_contiguous

TILE = 4  # outputs a side of a tile
# Interpolation points; they round less than 0, +-1, +-2.
_POINTS = (Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2))
# Below these, transforms and padded tiles cost what the products save.
_MIN_CHANNELS = 64
_MIN_PRODUCT = 128 * 64  # channels in times channels out
_MIN_PIXELS = 600  # of the batch


def _product(roots: Sequence[Fraction]) -> list[Fraction]:
    """Return the coefficients, lowest first, of the polynomial with these roots."""
    found = [Fraction(1)]
    for root in roots:
        shifted = zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)
        found = [low - root * high for low, high in shifted]
    return found


def _floats(rows: Sequence[Sequence[Fraction]]) -> list[list[float]]:
    return [[float(value) for value in row] for row in rows]


def _matrices() -> tuple[list, list, list]:
    """Return the transforms of outputs, weights and inputs (Cook-Toom)."""
    outputs = [
        [point**power for point in _POINTS] + [Fraction(power == TILE - 1)] for power in range(TILE)
    ]
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
    return _floats(outputs), _floats(weights), _floats(inputs)


_OUTPUTS, _WEIGHTS, _INPUTS = _matrices()
_SIDE = len(_INPUTS)  # of a tile of inputs


def _combine(factors: Sequence[float], parts: Sequence[Tensor]) -> Tensor:
    """Return the sum of the parts times their factors; factors of 0 are skipped."""
    terms = [
        part if factor == 1 else part * factor
        for factor, part in zip(factors, parts, strict=True)
        if factor
    ]
    return sum(terms[1:], start=terms[0])


def _transform_inputs(x: Tensor, rows: int, columns: int) -> Tensor:
    """Transform (N, H, W, C), padded to whole tiles, to (36, N * rows * columns, C)."""
    channels = x.shape[-1]
    lines = [x[:, i : i + TILE * (rows - 1) + 1 : TILE] for i in range(_SIDE)]
    found = []
    for factors in _INPUTS:
        line = _combine(factors, lines)
        cells = [line[:, :, j : j + TILE * (columns - 1) + 1 : TILE] for j in range(_SIDE)]
        found += [_combine(row, cells).reshape(-1, channels) for row in _INPUTS]
    return torch.stack(found)


def _transform_outputs(x: Tensor, images: int, rows: int, columns: int) -> Tensor:
    """Transform (36, N * rows * columns, C) to (N, rows * TILE, columns * TILE, C)."""
    channels = x.shape[-1]
    cells = x.view(_SIDE, _SIDE, images, rows, columns, channels)
    found = []
    for factors in _OUTPUTS:
        line = _combine(factors, [cells[i] for i in range(_SIDE)])
        parts = [line[j] for j in range(_SIDE)]
        found.append(torch.stack([_combine(row, parts) for row in _OUTPUTS], 3))
    return torch.stack(found, 2).reshape(images, rows * TILE, columns * TILE, channels)


def transform_weights(weight: Tensor) -> Tensor:
    """Transform (C_out, C_in, 3, 3) to (36, C_in, C_out)."""
    matrix = torch.tensor(_WEIGHTS, dtype=torch.float64)
    both = torch.kron(matrix, matrix)
    out, channels = weight.shape[:2]
    flat = weight.double().permute(2, 3, 1, 0).reshape(9, channels * out)
    return (both @ flat).view(_SIDE**2, channels, out).to(weight.dtype)


class Winograd:
    """A 3x3 convolution of stride 1 and padding 1 with fixed weights, computed in tiles.

    Source: Lavin and Gray (arXiv 1509.09308), F(4 x 4, 3 x 3): 36 products instead of 144. Outputs
    differ from those of a direct convolution by rounding, about 1e-5 of their standard deviation,
    and have the memory format of the input. Gradients reach the input only; that pass is a
    convolution too, with the weights rotated by 180 degrees and their channel axes swapped. The
    transformed weights take four times the memory of the weights, twice that with gradients.

    Args:
        conv (nn.Conv2d): The convolution; its own forward runs for unsupported inputs.
        transforms (tuple[Callable, Callable]): Compiled transforms of inputs and outputs.
    """

    def __init__(self, conv: nn.Conv2d, transforms: tuple[Callable, Callable]) -> None:
        self.conv = conv
        self.direct = conv.forward
        self.transforms = transforms
        self._weights: dict[bool, tuple[tuple, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, C_in, H, W); replaces the forward of the convolution."""
        supported = (
            x.is_cpu
            and x.dtype == self.conv.weight.dtype
            and x.shape[0] * x.shape[2] * x.shape[3] >= _MIN_PIXELS
            and not torch.is_autocast_enabled('cpu')
        )
        return _Convolve.apply(x, self) if supported else self.direct(x)

    def convolve(self, x: Tensor, backward: bool = False) -> Tensor:
        """Convolve an input or, with ``backward``, the gradient of an output."""
        weight = self.conv.weight.detach()
        state = weight.data_ptr(), weight._version
        known = self._weights.get(backward)
        if known is None or known[0] != state:
            rotated = weight.flip(2, 3).transpose(0, 1) if backward else weight
            known = self._weights[backward] = state, transform_weights(rotated)
        found = self._run(to_channels_last(x), known[1])
        if self.conv.bias is not None and not backward:
            found += self.conv.bias
        found = found.permute(0, 3, 1, 2)
        return to_contiguous(found) if x.is_contiguous() else found

    def _run(self, x: Tensor, weight: Tensor) -> Tensor:
        """Convolve (N, C_in, H, W) to (N, H, W, C_out)."""
        images, _, height, width = x.shape
        rows, columns = -(-height // TILE), -(-width // TILE)
        padded = F.pad(
            x.permute(0, 2, 3, 1),
            (0, 0, 1, 1 + columns * TILE - width, 1, 1 + rows * TILE - height),
        )
        transform, back = self.transforms
        products = torch.bmm(transform(padded, rows, columns), weight)
        return back(products, images, rows, columns)[:, :height, :width].contiguous()


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, convolution: Winograd) -> Tensor:
        ctx.convolution = convolution
        return convolution.convolve(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.convolution.convolve(grad, backward=True), None


def is_suitable(module: nn.Conv2d) -> bool:
    """Return whether ``Winograd`` computes a convolution, and faster."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.padding in ((1, 1), 'same')
        and module.padding_mode == 'zeros'
        and module.stride == module.dilation == (1, 1)
        and module.groups == 1
        and min(module.in_channels, module.out_channels) >= _MIN_CHANNELS
        and module.in_channels * module.out_channels >= _MIN_PRODUCT
    )


def use_winograd(teacher: nn.Module, skip: Iterable[nn.Module] = ()) -> Callable[[], None]:
    """Compute a frozen network's wide 3x3 convolutions by Winograd's algorithm.

    Args:
        teacher (nn.Module): The network, on a CPU.
        skip (Iterable[nn.Module]): Modules that stay as they are, with all inside.

    Returns:
        Callable: Undoes it.
    """
    skipped = {id(module) for part in skip for module in part.modules()}
    convs = [
        module
        for module in teacher.modules()
        if isinstance(module, nn.Conv2d) and is_suitable(module) and id(module) not in skipped
    ]
    before = [vars(conv).get('forward') for conv in convs]
    transforms = (
        torch.compile(_transform_inputs, dynamic=True),
        torch.compile(_transform_outputs, dynamic=True),
    )
    for conv in convs:
        vars(conv)['forward'] = Winograd(conv, transforms).forward

    def undo() -> None:
        for conv, forward in zip(convs, before, strict=True):
            del vars(conv)['forward']
            if forward is not None:
                vars(conv)['forward'] = forward

    return undo
