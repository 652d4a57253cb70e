"""Golden inputs and numbers of HKDNet's distillation, read once a file."""
import json
from functools import lru_cache

import numpy as np
import torch

WEIGHTS = (4, 1, 1, 1)


@lru_cache(maxsize=4)
def read(path) -> tuple:
    """Inputs by name and, by epoch, the terms of a golden file."""
    with np.load(path.with_suffix('.npz')) as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    numbers = json.loads(path.with_suffix('.json').read_text())
    return arrays, {int(epoch): terms for epoch, terms in numbers['by_epoch'].items()}, numbers


def levels(arrays: dict, prefix: str) -> list:
    """The arrays ``prefix0``, ``prefix1``, ... in order, finest first."""
    number = sum(key.startswith(prefix) and key[len(prefix):].isdigit() for key in arrays)
    assert number > 0, prefix
    return [arrays[f'{prefix}{level}'] for level in range(number)]


def close(value, expected: float, rtol: float = 1e-5) -> None:
    """Relative agreement; zero must be zero."""
    torch.testing.assert_close(float(value), expected, rtol=rtol, atol=0)
