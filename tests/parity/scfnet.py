"""SCFNet: dice losses of a released case, and the logits of a converted network."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmkd_sod.models.losses import BoundaryDiceLoss, DiceLoss, boundary_map
from mmkd_sod.models.saliency import resize_like
from mmkd_sod.registry import MODELS
from mmkd_sod.utils.array_pickle import load_array_pickle
from mmkd_sod.utils.checkpoint import check_fits
from mmkd_sod.utils.paddle_scfnet import convert_scfnet
from tests.conftest import ROOT
from tests.parity import Pair, load_arrays

CONFIG = ROOT / 'configs/_base_/models/scfnet_mobilenetv3.py'


@dataclass(frozen=True)
class Dice:
    """One dice value.

    Attributes:
        name (str): Which one.
        exact, as_released (Tensor): Of the loss; the second rounds as the released program does.
        prob, target (Tensor): The maps that are compared.
        released (float): Of the released program.
    """

    name: str
    exact: Tensor
    as_released: Tensor
    prob: Tensor
    target: Tensor
    released: float


def read(path: Path) -> tuple[dict, dict[str, Tensor], list[str]]:
    """Numbers, arrays, and the names of the logits, finest first."""
    arrays = load_arrays(path.with_name(f'{path.stem}_io.npz'))
    return (
        json.loads(path.with_suffix('.json').read_text()),
        arrays,
        sorted(name for name in arrays if name.startswith('logits')),
    )


def dice(path: Path) -> Iterator[Dice]:
    """Dice of every map against the mask, and against the finest map as a teacher's."""
    numbers, arrays, levels = read(path)
    mask, finest = arrays['mask'], arrays[levels[0]]
    for level, own, distilled in zip(
        levels, numbers['dice'], numbers['kd_dice_student_vs_teacher_logits'], strict=True
    ):
        logits = arrays[level]
        yield Dice(
            f'{level}, mask',
            *(DiceLoss(released_sums=flag)(logits, mask) for flag in (False, True)),
            logits.sigmoid(),
            mask,
            own,
        )
        yield Dice(
            f'{level}, teacher',
            *(
                DiceLoss(sigmoid_target=True, released_sums=flag)(logits, finest)
                for flag in (False, True)
            ),
            logits.sigmoid(),
            finest.sigmoid(),
            distilled,
        )


def boundary_dice(path: Path) -> Iterator[Dice]:
    """Boundary dice of every map against the mask, by epoch."""
    numbers, arrays, levels = read(path)
    mask = arrays['mask']
    losses = [BoundaryDiceLoss(released_sums=flag) for flag in (False, True)]
    for epoch, values in numbers['boundary_dice_by_epoch'].items():
        for loss in losses:
            loss.set_epoch(int(epoch))
            assert loss.window == numbers['pool_side_by_epoch'][epoch]
        for level, value in zip(levels, values, strict=True):
            logits, window = arrays[level], losses[0].window
            yield Dice(
                f'{level} at epoch {epoch}',
                *(loss(logits, mask) for loss in losses),
                boundary_map(logits.sigmoid(), window),
                boundary_map(mask, window),
                value,
            )


def network() -> nn.Module:
    """SCFNet on MobileNetV3 of width 0.5, in eval mode."""
    return MODELS.build(Config.fromfile(CONFIG).model).eval()


def logits(path: Path) -> list[Pair]:
    """The maps of the network with the released weights, resized to the image."""
    numbers, arrays, levels = read(path)
    weights = path.with_suffix('.pdparams')
    state, model = convert_scfnet(load_array_pickle(weights)), network()
    assert sum(value.numel() for value in state.values()) == numbers['params']
    check_fits(model, state, weights.name, 'SCFNet')
    model.load_state_dict(state)
    image = arrays['image']
    with torch.no_grad():
        maps = model(image, mode='tensor')
    return [
        Pair(
            'logits of converted weights', level, resize_like(ours, image.shape[2:]), arrays[level]
        )
        for ours, level in zip(maps, levels, strict=True)
    ]


def compare(path: Path) -> list[Pair]:
    """All of a case."""
    pairs = []
    for kind, values in (('dice', dice(path)), ('boundary dice', boundary_dice(path))):
        for value in values:
            pairs += [
                Pair(
                    f'{kind}, `released_sums=True`',
                    value.name,
                    value.as_released.item(),
                    value.released,
                ),
                Pair(kind, value.name, value.exact.item(), value.released),
            ]
    return pairs + logits(path)
