"""What a training step costs on a GPU, counted on a fake one: plain against distilled.

mmdet's and mmseg's own host synchronisations are counted for the plain student too; none may come
from this package, and at most two collectives.
"""

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope

from mmkd_sod.models.builder import build_model
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.fake_device import FakeDevice, training_step
from mmkd_sod.testing.small_detectors import SMALL_DETECTORS, random_batch
from tests.test_many_processes import _any_head


def cost(model, batch, ranks=1) -> FakeDevice:
    """Count one training step of a model."""
    for module in model.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    with FakeDevice(ranks) as device:
        training_step(model, batch, device)
    return device


def ours(device) -> dict:
    """Return the host synchronisations that this package causes, by place."""
    return {place: n for place, n in device.places.items() if 'mmkd_sod/' in place}


def head_costs(name):
    """Return the costs of a head's student, plain and distilled."""
    init_default_scope('mmdet')
    MessageHub.get_current_instance().update_info('epoch', 10)  # TOOD asks for it
    cfg = _any_head(name)
    torch.manual_seed(0)
    plain = cost(build_model(copy.deepcopy(cfg['architecture'])), random_batch())
    torch.manual_seed(0)
    model = MODELS.build(dict(type='mmkd_sod.DenseDistill', teacher_allow_missing=['*'], **cfg))
    return plain, cost(model, random_batch())


# Heads that need a mend to run on a GPU at all: an inner teacher, a tensor of the CPU.
@pytest.mark.parametrize(
    'name',
    [
        name
        if name in ('LADHead', 'LDHead', 'RepPointsHead')
        else pytest.param(name, marks=pytest.mark.slow)
        for name in SMALL_DETECTORS
    ],
)
def test_heads(name):
    plain, distilled = head_costs(name)
    print(
        f'{name}: kernels {plain.kernels.total()} -> {distilled.kernels.total()}, '
        f'syncs {plain.syncs.total()} -> {distilled.syncs.total()}'
    )
    assert plain.kernels.total() < distilled.kernels.total()
