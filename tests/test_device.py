"""What a training step costs on a GPU, counted on a fake one: plain against distilled.

mmdet's and mmseg's own host synchronisations are counted for the plain student too; none may come
from this package.
"""

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

from mmkd_sod.models.builder import build_model
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.fake_device import FakeDevice, training_step
from mmkd_sod.testing.small_detectors import SMALL_DETECTORS, random_batch
from tests.methods import METHODS, build
from tests.test_many_processes import CASES, _any_head
from tests.test_precision import batch_of

# Settings of a distiller that compares the images of all ranks.
RANKS = {method: CASES['gfl' if method == 'crosskd' else method] for method in METHODS}


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


def method_costs(method, ranks):
    """Return the costs of a method's student, plain and distilled."""
    options = RANKS[method].options() if ranks > 1 else {}
    init_default_scope(METHODS[method][0])
    batch = batch_of(method, 0)
    if method == 'weak_label':  # the plain student learns from masks
        for sample in batch['data_samples']:
            sample.gt_sem_seg = PixelData(data=torch.ones(1, 64, 64, dtype=torch.long))
    student = dict(METHODS[method][2](), **options)['architecture']
    plain = cost(build_model(copy.deepcopy(student)), batch, ranks)
    return plain, cost(build(method, **options), batch, ranks)


def show(name, plain, distilled) -> None:
    """Print one row of the table of docs/gpu.md (run with -s)."""
    cells = [
        f'{getattr(plain, kind).total()} -> {getattr(distilled, kind).total()}'
        for kind in ('syncs', 'collectives', 'kernels')
    ]
    print(f'| {name} | {" | ".join(cells)} |')


# Collectives of ours. CrossKD: statistics forward and backward, two normalisers. CSKD: shapes and
# features. HKD: six for the temperature, shapes and features of two losses.
COLLECTIVES = dict(crosskd=4, cskd_learned=2, cskd_resampled=2, weak_label=0, hkd=10)


@pytest.mark.parametrize('ranks', [pytest.param(1, marks=pytest.mark.slow), 8])
@pytest.mark.parametrize('method', METHODS)
def test_methods(method, ranks):
    plain, distilled = method_costs(method, ranks)
    show(f'{method}, {ranks} rank(s)', plain, distilled)
    assert not ours(distilled)
    assert distilled.syncs.total() <= plain.syncs.total()
    added = distilled.collectives.total() - plain.collectives.total()
    assert added == (COLLECTIVES[method] if ranks > 1 else 0)


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
    show(name, plain, distilled)
    assert not ours(distilled)
    assert plain.kernels.total() < distilled.kernels.total()
