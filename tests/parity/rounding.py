"""What rounding does to CrossKD on pairs of detectors with random weights."""

from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from tests.parity import read
from tests.parity.crosskd import run

SPLITS, SEEDS = (0, 1, 2, 3), range(4)
# Gradient norms below this part of their total are rounding alone.
LEAST = 1e-4


def random_weights(arrays: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The arrays of a case with random convolutions and, in the backbones, random BN."""
    numbers = np.random.default_rng(seed)

    def redraw(name: str, old: Tensor) -> Tensor:
        if old.dim() == 4 and '/' in name:
            new = numbers.standard_normal(old.shape) * (2 / old[0].numel()) ** 0.5
        elif 'backbone' in name and name.endswith(('running_var', '.weight')):
            new = numbers.uniform(0.5, 1.5, old.shape)
        elif 'backbone' in name and name.endswith(('running_mean', '.bias')):
            new = numbers.standard_normal(old.shape) * 0.1
        else:
            return old
        return torch.from_numpy(new).to(old.dtype)

    return {name: redraw(name, old) for name, old in arrays.items()}


def largest(found: dict, wanted: dict, least: float = 0.0) -> float:
    """Largest relative difference of the values above ``least``."""
    return max(
        abs(found[name] - value) / abs(value)
        for name, value in wanted.items()
        if abs(value) > least
    )


def differences(path: Path) -> list[dict[str, float]]:
    """Largest differences of every random pair made of a case.

    Returns:
        list[dict]: By ``losses`` or ``gradients`` and what is compared: ``float32`` with float64,
        both without acceleration, and ``accelerated`` with exact, both in float32.
    """
    numbers, arrays = read(path)
    pkd = dict(type='PKDLoss', loss_weight=6.0)
    found = []
    for split in SPLITS:
        for seed in SEEDS:
            pair = random_weights(arrays, seed)
            case = dict(
                numbers,
                reused_teacher_head_idx=split,
                kd_losses=dict(numbers['kd_losses'], loss_feat_kd=pkd),
                losses=dict(numbers['losses'], loss_feat_kd=0.0),
            )
            exact = run(case, pair, teacher_exact=True)
            double = run(case, pair, torch.float64, teacher_exact=True)
            accelerated = run(case, pair)
            row = {}
            for name, other, base in (
                ('float32', exact, double),
                ('accelerated', accelerated, exact),
            ):
                row[f'losses, {name}'] = largest(other[0], base[0])
                row[f'gradients, {name}'] = largest(other[1], base[1], LEAST * base[1]['total'])
            found.append(row)
    return found


def summary(path: Path) -> dict[str, float]:
    """Median and largest of the differences of a case's random pairs, and their ``number``."""
    rows = differences(path)
    found = {
        f'{of}, {name}': function(row[name] for row in rows)
        for name in rows[0]
        for of, function in (('median', median), ('largest', max))
    }
    return dict(found, number=len(rows))
