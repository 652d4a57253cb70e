"""Deformable convolution: ``deform_conv_*`` of ``mmcv._ext``.

Dai et al., Deformable Convolutional Networks, ICCV 2017, equation 2: each element of the kernel
samples the input at its place plus an offset of its own. The samples of some output pixels are put
side by side as columns, and a matrix product with the kernel does the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ._sampling import crossed, limit, plain, to_maps, to_rows, weighted_rows, zero_padded

# Elements of the columns at once; on a CPU, blocks of memory above 32 MB are slow to get.
COLUMNS = dict(cpu=2**22, gpu=2**26)


@dataclass(frozen=True)
class Geometry:
    """Of a convolution; pairs are (along the height, along the width)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    deform_groups: int
    size: tuple[int, int]
    out_size: tuple[int, int]

    @property
    def elements(self) -> int:
        """Elements of the kernel in space."""
        return self.kernel[0] * self.kernel[1]

    def parts(self, images: Tensor) -> Iterator[slice]:
        """Slices of all images' output pixels whose columns are stored at once."""
        step = max(1, limit(COLUMNS, images) // (self.elements * images.shape[1]))
        pixels = len(images) * self.out_size[0] * self.out_size[1]
        return (slice(start, min(start + step, pixels)) for start in range(0, pixels, step))

    def samples(self, part: slice, offset: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rows of the images and their weights (pixels * elements * deform groups, 4).

        Args:
            part (slice): Of the output pixels.
            offset (Tensor): (pixels, deform groups * elements * 2), y before x.
            mask (Tensor, optional): Factors (pixels, deform groups * elements).
        """
        pixel = torch.arange(part.start, part.stop, device=offset.device)[:, None, None]
        element = torch.arange(self.elements, device=offset.device)
        group = torch.arange(self.deform_groups, device=offset.device)[:, None]
        row, column = pixel // self.out_size[1], pixel % self.out_size[1]
        image, row = row // self.out_size[0], row % self.out_size[0]
        y = row * self.stride[0] - self.padding[0] + element // self.kernel[1] * self.dilation[0]
        x = column * self.stride[1] - self.padding[1] + element % self.kernel[1] * self.dilation[1]
        # Sixteen bits do not tell the pixels of a map apart.
        offset = offset.to(torch.promote_types(offset.dtype, torch.float32))
        offset = offset.unflatten(1, (self.deform_groups, self.elements, 2))
        index, weight = crossed(
            zero_padded(y + offset[..., 0], self.size[0]),
            zero_padded(x + offset[..., 1], self.size[1]),
            self.size[1],
        )
        if mask is not None:
            weight = weight * mask.view(*weight.shape[:-1], 1)
        image = image * (self.size[0] * self.size[1])
        index = (index + image.int().unsqueeze(-1)) * self.deform_groups + group.int().unsqueeze(-1)
        # A pixel's samples by kernel element, then by group, are its channels by kernel element.
        return index.transpose(1, 2).flatten(0, 2), weight.transpose(1, 2).flatten(0, 2)

    def columns(self, rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        """Columns (groups, pixels, elements * channels of a group)."""
        samples = weighted_rows(rows, index, weight)
        samples = samples.view(
            -1, self.elements, self.groups, rows.shape[1] * self.deform_groups // self.groups
        )
        return samples.permute(2, 0, 1, 3).flatten(2)

    def matrix(self, weight: Tensor) -> Tensor:
        """The kernel (O, C / groups, height, width) as (groups, elements * C / groups, ...)."""
        return weight.flatten(2).unflatten(0, (self.groups, -1)).permute(0, 3, 2, 1).flatten(1, 2)

    def kernel_of(self, matrix: Tensor, shape: tuple) -> Tensor:
        """Inverse of ``matrix`` for a kernel's shape."""
        return matrix.unflatten(1, (self.elements, -1)).permute(0, 3, 2, 1).reshape(shape)


def convolve(
    images: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> Tensor:
    """Output (N, O, Ho, Wo) of images (N, C, H, W); offsets and mask as maps of the output."""
    rows, matrix = to_rows(images, geometry.deform_groups), geometry.matrix(weight)
    offset, mask = to_rows(offset), None if mask is None else to_rows(mask)
    output = rows.new_empty(len(offset), len(weight))
    for part in geometry.parts(images):
        index, factor = geometry.samples(part, offset[part], None if mask is None else mask[part])
        products = geometry.columns(rows, index, factor) @ matrix
        output[part] = products.transpose(0, 1).flatten(1)
    return to_maps(output, (len(images), len(weight), *geometry.out_size))


def gradients(
    images: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    grad_output: Tensor,
    geometry: Geometry,
    *,
    by_inputs: bool,
    by_weight: bool,
) -> tuple[Tensor | None, ...]:
    """Gradients of ``convolve`` by images, offsets, mask (or None) and kernel."""
    rows, matrix = to_rows(images, geometry.deform_groups), geometry.matrix(weight)
    maps = [offset] if mask is None else [offset, mask]
    factors = [to_rows(one) for one in maps]
    grad_rows, grad_matrix = torch.zeros_like(rows), torch.zeros_like(matrix)
    grad_factors = [torch.zeros_like(one) for one in factors]
    grad_output = to_rows(grad_output)
    for part in geometry.parts(images):
        grad = grad_output[part].unflatten(1, (geometry.groups, -1)).transpose(0, 1)
        with torch.set_grad_enabled(by_inputs):
            leaves = [one[part].detach().requires_grad_(by_inputs) for one in factors]
            index, factor = geometry.samples(part, leaves[0], leaves[1] if leaves[1:] else None)
            # Only some rows have a gradient; on a GPU, asking which would be a synchronisation.
            first, last = (
                (int(index.min()), int(index.max()) + 1)
                if index.device.type == 'cpu'
                else (0, len(rows))
            )
            near = rows[first:last].detach().requires_grad_(by_inputs)
            columns = geometry.columns(near, index - first, factor)
        if by_weight:
            grad_matrix += columns.detach().mT @ grad
        if by_inputs:
            found = torch.autograd.grad(columns, [near, *leaves], grad @ matrix.mT)
            grad_rows[first:last] += found[0]
            for whole, one in zip(grad_factors, found[1:], strict=True):
                whole[part] = one
    by_factors = [to_maps(grad, one.shape) for grad, one in zip(grad_factors, maps, strict=True)]
    return (
        to_maps(grad_rows, images.shape),
        by_factors[0],
        by_factors[1] if mask is not None else None,
        geometry.kernel_of(grad_matrix, weight.shape),
    )


def _geometry(
    images: Tensor,
    out: Tensor,
    *,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> Geometry:
    """Of mmcv's arguments; ``im2col_step``, images at once, is replaced by ``COLUMNS``."""
    return Geometry(
        (kH, kW),
        (dH, dW),
        (padH, padW),
        (dilationH, dilationW),
        group,
        deformable_group,
        images.shape[2:],
        out.shape[2:],
    )


@plain
def deform_conv_forward(
    images: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **geometry,
) -> None:
    """Write the convolution of images (N, C, H, W) into ``output`` (N, O, Ho, Wo)."""
    output.copy_(convolve(images, weight, offset, None, _geometry(images, output, **geometry)))


@plain
def deform_conv_backward_input(
    images: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **geometry,
) -> None:
    """Write the gradients by the images and by the offsets."""
    grads = gradients(
        images,
        weight,
        offset,
        None,
        grad_output,
        _geometry(images, grad_output, **geometry),
        by_inputs=True,
        by_weight=False,
    )
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[1])


@plain
def deform_conv_backward_parameters(
    images: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    *,
    scale: float,
    **geometry,
) -> None:
    """Add ``scale`` times the gradient by the kernel to ``grad_weight``."""
    grads = gradients(
        images,
        grad_weight,
        offset,
        None,
        grad_output,
        _geometry(images, grad_output, **geometry),
        by_inputs=False,
        by_weight=True,
    )
    grad_weight.add_(grads[3], alpha=scale)


OPERATORS = dict(
    deform_conv_forward=deform_conv_forward,
    deform_conv_backward_input=deform_conv_backward_input,
    deform_conv_backward_parameters=deform_conv_backward_parameters,
)
