"""Multi-scale deformable attention: ``ms_deform_attn_*`` of ``mmcv._ext``.

Zhu et al., Deformable DETR, ICLR 2021, equation 3. mmcv asks its extension for tensors on a GPU
only; on a CPU it uses a function of its own.
"""

import torch
from torch import Tensor

from ._sampling import crossed, limit, plain, weighted_rows, zero_padded

# Weighted pixels at once.
ENTRIES = dict(cpu=2**22, gpu=2**25)


def _images(attention: Tensor) -> list[slice]:
    """Slices of the images that are worked on at once."""
    step = max(1, limit(ENTRIES, attention) // max(1, 4 * attention[:1].numel()))
    return [slice(start, start + step) for start in range(0, len(attention), step)]


def _attend(
    value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, attention: Tensor
) -> Tensor:
    """Output (N, Q, heads * D), differentiable by value, locations and attention."""
    number, keys, heads, _ = value.shape
    # (N, Q, heads, levels, points) from here on; 16 bits do not tell the pixels of a map apart.
    locations = locations.to(torch.promote_types(locations.dtype, torch.float32))
    height, width = shapes.to(locations.dtype).view(-1, 1, 2).unbind(2)
    index, weight = crossed(
        zero_padded(locations[..., 1] * height - 0.5, height),
        zero_padded(locations[..., 0] * width - 0.5, width),
        width.unsqueeze(-1).unsqueeze(-1).int(),
    )
    weight = weight * attention.unsqueeze(-1)
    image = torch.arange(number, device=value.device, dtype=index.dtype).view(-1, 1, 1, 1, 1, 1)
    head = torch.arange(heads, device=value.device, dtype=index.dtype).view(-1, 1, 1, 1)
    index = (index + image * keys + starts.int().view(-1, 1, 1)) * heads + head
    rows = value.reshape(-1, value.shape[3])
    output = weighted_rows(rows, index.flatten(3).flatten(0, 2), weight.flatten(3).flatten(0, 2))
    return output.view(*locations.shape[:2], heads * value.shape[3])


@plain
def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    *,
    im2col_step: int,
) -> Tensor:
    """Return the attended values (N, Q, heads * D).

    Args:
        value (Tensor): (N, keys, heads, D), the pixels of all levels one after another.
        spatial_shapes (Tensor): Height and width of each level (levels, 2).
        level_start_index (Tensor): First key of each level (levels,).
        sampling_locations (Tensor): (N, Q, heads, levels, points, 2), x before y, 0 to 1.
        attention_weights (Tensor): (N, Q, heads, levels, points).
        im2col_step (int): Images at once in the compiled operator; not used.
    """
    output = value.new_empty(*sampling_locations.shape[:2], value.shape[2] * value.shape[3])
    for some in _images(attention_weights):
        output[some] = _attend(
            value[some],
            spatial_shapes,
            level_start_index,
            sampling_locations[some],
            attention_weights[some],
        )
    return output


@plain
def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    *,
    im2col_step: int,
) -> None:
    """Write the gradients by values, locations and attention weights."""
    for some in _images(attention_weights):
        with torch.enable_grad():
            leaves = [
                one[some].detach().requires_grad_()
                for one in (value, sampling_locations, attention_weights)
            ]
            output = _attend(leaves[0], spatial_shapes, level_start_index, *leaves[1:])
        grads = torch.autograd.grad(output, leaves, grad_output[some].view_as(output))
        for target, grad in zip(
            (grad_value, grad_sampling_loc, grad_attn_weight), grads, strict=True
        ):
            target[some] = grad


OPERATORS = dict(
    ms_deform_attn_forward=ms_deform_attn_forward, ms_deform_attn_backward=ms_deform_attn_backward
)
