"""How far a change moves a teacher's outputs, measured in full float32."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.utils.tensors import flat

# No output may move by more than this, relative to the largest value of its map.
TOLERANCE = 1e-4


# How to read a setting, how to write it, its value in full float32.
_Setting = tuple[Callable[[], Any], Callable[[Any], None], Any]


def _attribute(owner: object, name: str, full: Any) -> _Setting:
    return partial(attrgetter(name), owner), partial(setattr, owner, name), full


def _precision_settings() -> list[_Setting]:
    """Return what torch reads to choose the precision of float32 kernels."""
    settings = [
        _attribute(torch.backends.cudnn, 'allow_tf32', False),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, 'highest'),
    ]
    try:
        for read, _, _ in settings:
            read()
    except RuntimeError:
        # torch >= 2.9 refuses to read these once a program has set fp32_precision.
        return [
            _attribute(attrgetter(op)(torch.backends), 'fp32_precision', 'ieee')
            for op in ('cuda.matmul', 'cudnn.conv', 'cudnn.rnn', 'mkldnn.matmul', 'mkldnn.conv')
        ]
    return settings


@contextmanager
def full_float32(device_type: str) -> Iterator[None]:
    """Switch TF32 and autocast off inside; TF32 alone moves outputs by about 1e-3.

    Args:
        device_type (str): 'cpu', 'cuda', ...
    """
    changed = []
    try:
        for read, write, full in _precision_settings():
            value = read()
            if value != full:
                write(full)
                changed.append((write, value))
        with torch.autocast(device_type, enabled=False):
            yield
    finally:
        for write, value in changed:
            write(value)


def device_type(network: nn.Module) -> str:
    """'cpu', 'cuda', ...: where a network's first parameter is; 'cpu' without parameters."""
    weight = next(network.parameters(), None)
    return 'cpu' if weight is None else weight.device.type


@torch.no_grad()
def trial_outputs(teacher: BaseModel) -> list[Tensor]:
    """Outputs on one random image, the same at every call, in full float32.

    Args:
        teacher (BaseModel): A frozen network in eval mode.
    """
    # Large enough for two cells a side at stride 128: GroupNorm refuses a single value.
    mean = dict(teacher.named_buffers()).get('data_preprocessor.mean')  # depth has one too
    channels = 3 if mean is None else mean.numel()
    image = torch.randn(1, channels, 256, 256, generator=torch.Generator().manual_seed(0))
    with full_float32(device_type(teacher)):
        return flat(teacher(image.to(next(teacher.parameters())), None, mode='tensor'))


def largest_move(found, wanted) -> float:
    """Largest difference of two outputs, relative to the largest value (at least 1) of its map.

    Args:
        found: Nested tuples, lists and dicts of tensors.
        wanted: The same of another run.

    Returns:
        float: 0 where there is no tensor; NaN where one has NaN.

    Raises:
        ValueError: The two have different numbers of tensors.
    """
    moves = [
        (a.float() - b.float()).abs().max() / b.float().abs().max().clamp(min=1)
        for a, b in zip(flat(found), flat(wanted), strict=True)
    ]
    # Python's max would skip a NaN, torch's does not.
    return float(torch.stack([move.cpu() for move in moves]).max()) if moves else 0.0
