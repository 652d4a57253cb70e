"""Our numbers beside those of the authors' released programs: cases, pairs, differences.

A case is a json of numbers and an npz of inputs; ``tests/data/golden/README.md`` describes both.
One module per method computes the pairs, which the tests judge and ``python -m tests.parity``
tabulates.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Pair:
    """One quantity, computed here and by the released program.

    Attributes:
        quantity (str): What it is a value of, e.g. ``'losses'``.
        name (str): Which one.
        found, wanted (float | Tensor): Ours and the released one, of one shape.
        least (float): Differences of smaller values are relative to this one.
    """

    quantity: str
    name: str
    found: float | Tensor
    wanted: float | Tensor
    least: float = 0.0

    @property
    def difference(self) -> float:
        """``|found - wanted| / |wanted|``; of tensors by their Euclidean norms."""
        found, wanted = (
            torch.as_tensor(value).detach().cpu().double() for value in (self.found, self.wanted)
        )
        assert found.shape == wanted.shape, self.name
        absolute, size = (found - wanted).norm().item(), max(wanted.norm().item(), self.least)
        if not absolute:
            return 0.0
        return absolute / size if size else math.inf


def load_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of an npz file by name."""
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def draw(stream: dict, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """Random tensors of one stream of torch's CPU generator.

    Args:
        stream (dict): ``start``, a seed or the name of the array that holds the generator's state;
            ``arrays``, in the order of drawing: name, shape, ``'normal'`` or ``'uniform'``, and the
            standard deviation or the half width; ``sum`` of all numbers.
        arrays (dict): Stored arrays by name.

    Raises:
        RuntimeError: This torch draws other numbers.
    """
    generator = torch.Generator()
    if isinstance(stream['start'], int):
        generator.manual_seed(stream['start'])
    else:
        generator.set_state(arrays[stream['start']])
    drawn = {}
    for name, shape, kind, scale in stream['arrays']:
        tensor = torch.empty(shape)
        if kind == 'normal':
            drawn[name] = tensor.normal_(0, scale, generator=generator)
        else:
            drawn[name] = tensor.uniform_(-scale, scale, generator=generator)
    total = sum(tensor.double().sum().item() for tensor in drawn.values())
    if not math.isclose(total, stream['sum'], abs_tol=0.01):
        raise RuntimeError(
            f'torch {torch.__version__} draws other random numbers than this case was made of '
            f'(sum {total:.4f}, expected {stream["sum"]:.4f}); set MMKD_GOLDEN to a folder that '
            'holds the weights themselves'
        )
    return drawn


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Numbers and arrays of a case.

    Arrays that the json describes under ``drawn`` and ``constant`` are made here; one that is
    stored under the same name takes precedence.
    """
    numbers = json.loads(path.with_suffix('.json').read_text())
    stored = load_arrays(path.with_suffix('.npz'))
    made = {}
    for stream in numbers.pop('drawn', ()):
        made.update(draw(stream, stored))
    for name, (shape, dtype, value) in numbers.pop('constant', {}).items():
        made[name] = torch.full(shape, value, dtype=getattr(torch, dtype))
    return numbers, made | stored
