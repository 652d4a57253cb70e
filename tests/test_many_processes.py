"""Several processes on shares of a batch learn what one process learns from all of it.

Losses agree to 1e-5 and gradients, after DistributedDataParallel's mean over ranks, to 1e-4. Batch
norm runs on its running statistics: torch has no SyncBatchNorm for CPU.
"""

import copy
import functools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from torch import nn

from mmkd_sod.testing.small_detectors import SMALL_DETECTORS, random_batch, small_detector
from tests.detection import GIOU_KD, REG_KD, crosskd_cfg, detector
from tests.methods import METHODS, Samples, build
from tests.ranks import in_ranks

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='forks')

BATCH = 4
CENTER_KD = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)


def _head(head, **distiller):
    return dict(
        architecture=detector(head, channels=16, convs=2, width=4),
        teacher=detector(head, channels=16, convs=2, width=8),
        distiller=crosskd_cfg(head, idx=1, **distiller),
    )


def _any_head(name):
    # Two sets of bins, and every other head by its boxes.
    reg = REG_KD['gfl'] if name in ('GFLHead', 'LDHead', 'SABLRetinaHead') else GIOU_KD
    return dict(
        architecture=small_detector(name),
        teacher=small_detector(name, width=8),
        distiller=dict(
            type='mmkd_sod.CrossKDDistiller',
            reused_teacher_head_idx=1,
            loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss'),
            loss_reg_kd=reg,
        ),
    )


def _cskd(projection):
    feat = dict(
        type='mmkd_sod.ChannelSpatialKDLoss', projection=projection, grid=(2, 2), gather=True
    )
    return dict(distiller=dict(type='mmkd_sod.CSKDDistiller', loss_feat=feat))


def _hkd():
    distiller = copy.deepcopy(METHODS['hkd'][2]()['distiller'])
    for part in ('loss_dssd', 'loss_dssd_decoder'):
        distiller[part]['gather'] = True
    return dict(distiller=distiller)


def _late():
    """A learned distiller that has not begun: its parameters wait for no gradient."""
    parts = [
        METHODS['crosskd'][2]()['distiller'],
        dict(distiller=crosskd_cfg(idx=0, adapter=True), name='late', begin=5),
    ]
    return dict(distiller=dict(type='mmkd_sod.CompositeDistiller', distillers=parts))


@dataclass
class Case:
    """What is trained.

    Attributes:
        method (str): Key of ``METHODS``.
        options (Callable): Gives further settings of DenseDistill.
        empty (Iterable): Numbers of the images without an object.
        own_loss (bool): Whether the student's own loss takes part: some of mmdet's divide by what
            each rank finds, which the distillers do not.
        large (bool): Detection images of 128 x 160 instead of 64 x 96.
        double (bool): In float64, where sums cancel so far that float32 leaves 1e-3 of some
            gradients to rounding.
    """

    method: str
    options: Callable = dict
    empty: Iterable = ()
    own_loss: bool = True
    large: bool = False
    double: bool = False


def _paper_head(head, empty=(), **distiller):
    return Case('crosskd', functools.partial(_head, head, **distiller), empty, head != 'retinanet')


CASES = dict(
    gfl=_paper_head('gfl'),
    gfl_adapter=_paper_head('gfl', adapter=True),
    gfl_half_empty=_paper_head('gfl', (2, 3)),
    gfl_empty=_paper_head('gfl', range(4)),
    atss=_paper_head('atss', loss_center_kd=CENTER_KD),
    atss_half_empty=_paper_head('atss', (2, 3), loss_center_kd=CENTER_KD),
    fcos=_paper_head('fcos'),
    fcos_masked=_paper_head('fcos', mask_padding=True),
    fcos_half_empty=_paper_head('fcos', (2, 3)),
    retinanet=_paper_head('retinanet'),
    retinanet_half_empty=_paper_head('retinanet', (2, 3)),
    composite=Case('crosskd', _late),
    cskd_resampled=Case('cskd_resampled', lambda: _cskd('resampled'), double=True),
    cskd_alone=Case(
        'cskd_resampled',
        lambda: dict(_cskd('resampled'), calculate_student_loss=False),
        double=True,
    ),
    cskd_learned=Case('cskd_learned', lambda: _cskd('learned'), double=True),
    weak_label=Case('weak_label', double=True),
    hkd=Case('hkd', _hkd, double=True),
    hkd_half_empty=Case('hkd', _hkd, (2, 3), double=True),
)


def made(method, options):
    """A method's model, batch norm on its running statistics, nothing drawn within a step."""
    torch.manual_seed(0)
    # TOOD's head asks for it; a run would tell it.
    MessageHub.get_current_instance().update_info('epoch', 0)
    model = revert_sync_batchnorm(build(method, **options))
    model.init_weights()
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if hasattr(module, 'drop_prob'):
            module.drop_prob = 0.0
        if hasattr(module, 'gfl_cls'):
            # mmdet keeps the sum of scores above 1 on each rank; sure scores keep it there anyhow.
            nn.init.zeros_(module.gfl_cls.bias)
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    with torch.no_grad():  # zero at the start; elsewhere they count
        for name, weight in model.named_parameters():
            if 'gamma_' in name:
                weight.fill_(0.3)
    return model


def data_of(case, images):
    if case.large:
        data = random_batch(BATCH)
        return {key: [value[i] for i in images] for key, value in data.items()}
    kind = METHODS[case.method][1]
    samples = Samples(kind, noise=False, empty=tuple(case.empty))
    batch = [samples[i] for i in images]
    if kind == 'group':
        for i, sample in zip(images, batch, strict=True):
            # Ranks hold different numbers of pixels that count.
            sample['data_samples'].gt_sem_seg.data[..., : 4 * i] = 255
        inputs = {key: [sample['inputs'][key] for sample in batch] for key in ('img', 'depth')}
    else:
        inputs = [sample['inputs'] for sample in batch]
    return dict(inputs=inputs, data_samples=[sample['data_samples'] for sample in batch])


def step(case, images, wrap) -> dict:
    """Loss terms and gradients of one step."""
    model = made(case.method, case.options())
    if case.double:
        model.double()
    wrapped = wrap(model)
    # Ranks draw different numbers; those of the first count where one is drawn for a batch.
    np.random.seed(7 + get_rank())
    data = model.data_preprocessor(data_of(case, images), training=True)
    dtype = next(model.student.parameters()).dtype
    data['inputs'] = data['inputs'].to(dtype)
    losses = wrapped(**data, mode='loss')
    losses = {
        name: sum(value) if isinstance(value, list) else value
        for name, value in losses.items()
        if 'loss' in name
    }
    kept = {name: case.own_loss or name.startswith('distill') for name in losses}
    sum(value.mean() * kept[name] for name, value in losses.items()).backward()
    return dict(
        losses={name: value.mean().item() for name, value in losses.items() if kept[name]},
        grads={
            name: weight.grad
            for name, weight in model.named_parameters()
            if weight.grad is not None
        },
    )


def _data_parallel(model):
    return MMDistributedDataParallel(model, device_ids=None)


def _share(case, rank, world):
    images = range(rank * BATCH // world, (rank + 1) * BATCH // world)
    return step(case, images, _data_parallel)


def compare(case, world, folder) -> None:
    """Check one step of so many processes against one of this process."""
    alone = step(case, range(BATCH), lambda model: model)
    ranks = in_ranks(world, functools.partial(_share, case), folder / 'ranks')
    assert alone['losses'] and alone['grads']
    for name, wanted in alone['losses'].items():
        mean = sum(found['losses'][name] for found in ranks) / world
        assert mean == pytest.approx(wanted, rel=1e-5, abs=1e-6), name
    norm = torch.stack([grad.norm() for grad in alone['grads'].values()]).norm()
    assert norm > 0
    for found in ranks:
        for name, grad in found['grads'].items():
            wanted = alone['grads'].get(name, torch.zeros_like(grad))
            off = (grad - wanted).norm()
            # What rounding leaves of a gradient that is 0 in truth, as that of AutoAssign's biases
            # before a group norm: a few of float32's eps.
            rounding = max(1e-7, 4 * torch.finfo(grad.dtype).eps)
            assert off <= 1e-4 * wanted.norm() + rounding * norm, (name, float(off / norm))
        assert found['grads'].keys() >= alone['grads'].keys()


@pytest.mark.parametrize('name', CASES)
def test_two_processes(tmp_path, name):
    compare(CASES[name], 2, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_four_processes(tmp_path, name):
    compare(CASES[name], 4, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('name', SMALL_DETECTORS)
def test_every_head(tmp_path, name):
    # TOOD's scores are compared as logits, which magnify what float32 loses near 0.
    case = Case(
        'crosskd',
        functools.partial(_any_head, name),
        own_loss=False,
        large=True,
        double=name == 'TOODHead',
    )
    compare(case, 2, tmp_path)
