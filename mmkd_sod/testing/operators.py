"""Running a model with mmcv's compiled operators or with those in plain torch."""

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader
from importlib.util import module_from_spec
from types import ModuleType
from typing import cast

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd_sod.compat.mmcv_ops.extension import extension_spec


def plain_extension() -> ModuleType:
    """Return the module that replaces ``mmcv._ext`` for mmcv-lite."""
    spec = extension_spec([])  # no folder, so no compiled module in it
    module = module_from_spec(spec)
    cast(Loader, spec.loader).exec_module(module)
    return module


class _Recorded:
    """Proxy of a module that records the names of called functions."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Callable:
        def operator(*args, **kwargs):
            self.called.add(name)
            return getattr(self._module, name)(*args, **kwargs)

        return operator


@contextmanager
def operators_of(extension: ModuleType) -> Iterator[set]:
    """Let ``mmcv.ops`` call the operators of a module in the context.

    Args:
        extension (module): Replacement of ``mmcv._ext``.

    Yields:
        set[str]: Names of the operators called so far.
    """
    recorded = _Recorded(extension)
    users = [
        module
        for name, module in sys.modules.items()
        if name.startswith('mmcv.ops.') and hasattr(module, 'ext_module')
    ]
    before = [vars(module)['ext_module'] for module in users]
    for module in users:
        vars(module)['ext_module'] = recorded
    try:
        yield recorded.called
    finally:
        for module, kept in zip(users, before, strict=True):
            vars(module)['ext_module'] = kept


@dataclass
class Step:
    """Results of one training step and one prediction of a model.

    Attributes:
        losses (dict[str, Tensor]): Logged losses.
        gradient (Tensor): Gradient of all parameters, concatenated.
        outputs (list[Tensor]): Boxes, scores, labels and masks of each image, or logits.
        operators (set[str]): Names of the operators called.
    """

    losses: dict[str, Tensor]
    gradient: Tensor
    outputs: list[Tensor]
    operators: set

    def differences(self, other: 'Step') -> tuple[float, float, float]:
        """Return the differences of losses, gradients and outputs.

        Losses: the largest relative difference. Gradients: the norm of the difference over the
        norm. Outputs: the largest difference over the largest absolute value of the same tensor;
        infinite if numbers of objects differ. Values that are NaN in both count as equal.
        """
        losses = max(
            (
                float(_distance(value, other.losses[name]) / value.abs().nan_to_num().clamp(1e-3))
                for name, value in self.losses.items()
            ),
            default=0.0,
        )
        gradient = float(
            _distance(self.gradient, other.gradient).norm()
            / self.gradient.nan_to_num().norm().clamp_min(1e-12)
        )
        if [x.shape for x in self.outputs] != [x.shape for x in other.outputs]:
            return losses, gradient, float('inf')
        outputs = max(
            (
                float(_distance(a, b).max() / a.nan_to_num().abs().max().clamp_min(1.0))
                for a, b in zip(self.outputs, other.outputs, strict=True)
                if a.numel()
            ),
            default=0.0,
        )
        return losses, gradient, outputs


def _distance(mine: Tensor, other: Tensor) -> Tensor:
    """Absolute differences; 0 where both are NaN, infinite where only one is."""
    distance = (mine - other).abs().where(mine != other, 0)
    return distance.masked_fill(mine.isnan() & other.isnan(), 0).nan_to_num(float('inf'))


def _outputs(samples) -> list[Tensor]:
    found = []
    for sample in samples:
        if 'seg_logits' in sample:
            found.append(sample.seg_logits.data)
        if 'pred_instances' in sample:
            items = sample.pred_instances
            found += [
                torch.as_tensor(items[key])
                for key in ('bboxes', 'scores', 'labels', 'masks')
                if key in items
            ]
    return [x.detach().double() for x in found]


def run_step(
    model: BaseModel, batch: dict, extension: ModuleType, seed: int = 0, predict: bool = True
) -> Step:
    """Run one training step and one prediction with the operators of a module.

    Args:
        model (BaseModel): A detector or segmentor; a copy runs, since some count their steps.
        batch (dict): Batch of a data loader; not changed.
        extension (module): Replacement of ``mmcv._ext``.
        seed (int): Seed of the training step.
        predict (bool): Whether to predict, too.
    """
    model = copy.deepcopy(model)
    kept = copy.deepcopy(model.state_dict())
    with operators_of(extension) as called:
        torch.manual_seed(seed)
        model.train().zero_grad()
        data = model.data_preprocessor(copy.deepcopy(batch), training=True)
        total, log = model.parse_losses(model(**data, mode='loss'))
        total.backward()
        gradient = torch.cat(
            [p.grad.flatten().double() for p in model.parameters() if p.grad is not None]
        )
        outputs = []
        if predict:
            model.load_state_dict(kept)
            with torch.no_grad():
                data = model.eval().data_preprocessor(copy.deepcopy(batch), training=False)
                outputs = _outputs(model(**data, mode='predict'))
    losses = {name: value.detach().double() for name, value in log.items()}
    return Step(losses, gradient, outputs, set(called))
