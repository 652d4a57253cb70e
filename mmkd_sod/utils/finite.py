"""Finding NaN and infinite values."""

from collections.abc import Iterable

import torch
from torch import Tensor


def non_finite(named: Iterable[tuple[str, Tensor]]) -> list[str]:
    """Return the names of the tensors that hold NaN or infinite values.

    Synchronises with each device once.

    Args:
        named (Iterable[tuple[str, Tensor]]): Names and tensors; integers are finite.
    """
    by_device: dict[torch.device, list[tuple[str, Tensor]]] = {}
    for name, value in named:
        if value.is_floating_point() or value.is_complex():
            flag = value.detach().isfinite().all()
            by_device.setdefault(value.device, []).append((name, flag))
    return [
        name
        for flags in by_device.values()
        for (name, _), finite in zip(
            flags, torch.stack([flag for _, flag in flags]).tolist(), strict=True
        )
        if not finite
    ]
