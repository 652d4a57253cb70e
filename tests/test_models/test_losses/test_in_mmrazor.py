"""The losses of all four methods inside mmrazor's ConfigurableDistiller, by config alone."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope

from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_segmentors import random_batch, small_segmentor
from tests import detection, rgbd, saliency


def recorder(source, kind='ModuleOutputs'):
    return dict(type=f'mmrazor.{kind}', source=source)


def wired(loss, recorders, connectors=None, names=('student', 'teacher'), **mapping):
    """Return a ConfigurableDistiller of one loss with the same recorders on both sides."""
    sides = dict(zip(names, (True, False), strict=True))
    return dict(
        type='mmrazor.ConfigurableDistiller',
        student_recorders=copy.deepcopy(recorders),
        teacher_recorders=copy.deepcopy(recorders),
        connectors=connectors or {},
        distill_losses=dict(loss_kd=loss),
        loss_forward_mappings=dict(
            loss_kd={
                side: dict(from_student=is_student, **mapping) for side, is_student in sides.items()
            }
        ),
    )


def of_detectors(loss, channels, data_idx):
    init_default_scope('mmdet')
    distiller = wired(
        dict(type=f'mmkd_sod.{loss}'),
        dict(head=recorder('bbox_head')),
        dict(rows=dict(type='mmkd_sod.DenseRows', channels=channels)),
        recorder='head',
        data_idx=data_idx,
        connector='rows',
    )
    return (detection.detector(), detection.detector(width=8), distiller, detection.batch())


def of_segmentors(loss, **settings):
    init_default_scope('mmseg')
    pair = small_segmentor('FCN'), small_segmentor('PSPNet')
    for side, model in zip(('student', 'teacher'), pair, strict=True):
        if settings:
            settings[f'{side}_channels'] = model.decode_head.channels
    distiller = wired(
        dict(type=f'mmkd_sod.{loss}', **settings),
        dict(feat=recorder('decode_head.conv_seg', 'ModuleInputs')),
        recorder='feat',
        data_idx=0,
    )
    return *pair, distiller, random_batch(4)


HEADS = 'mmkd_sod.models.decode_heads.'


def head_recorder(algorithm, head):
    """Record ``decode_head.forward`` as a method, since mmseg calls it directly."""
    if algorithm.startswith('mmrazor'):
        return recorder(f'{HEADS}{head}.forward', 'MethodOutputs')
    return recorder('decode_head')


def of_saliency(algorithm, loss, **settings):
    """Return the wiring of weak labels, the teacher's finest map."""
    init_default_scope('mmseg')
    cfg = saliency.scfnet()
    cfg.data_preprocessor.sides = None
    cfg.data_preprocessor.size = (64, 64)
    distiller = wired(
        dict(type=f'mmkd_sod.{loss}', **settings),
        dict(maps=head_recorder(algorithm, 'scf_head.SCFHead')),
        names=('logits', 'target'),
        recorder='maps',
        data_idx=0,
    )
    inputs, samples = saliency.batch(2, 64, label=True)
    return (
        cfg,
        copy.deepcopy(cfg),
        distiller,
        dict(inputs=list((inputs * 50 + 120).clamp(0, 255).byte()), data_samples=samples),
    )


def of_hkdnet(loss, source, **mapping):
    init_default_scope('mmseg')
    source = recorder(source) if isinstance(source, str) else source
    distiller = wired(dict(type=f'mmkd_sod.{loss}'), dict(of=source), recorder='of', **mapping)
    return rgbd.hkdnet(), rgbd.hkdnet(), distiller, rgbd.batch(4, 64, 64)


CASES = dict(
    KDQualityFocalLoss=lambda _: of_detectors('KDQualityFocalLoss', 3, 0),
    KDKLDivLoss=lambda _: of_detectors('KDKLDivLoss', 9, 1),
    CKALoss=lambda _: of_segmentors('CKALoss'),
    ChannelSpatialKDLoss=lambda _: of_segmentors(
        'ChannelSpatialKDLoss', sum_terms=True, projection='learned'
    ),
    DiceLoss=lambda algorithm: of_saliency(algorithm, 'DiceLoss', sigmoid_target=True),
    PNLADLoss=lambda algorithm: of_hkdnet(
        'PNLADLoss', head_recorder(algorithm, 'hkd_head.HKDHead')
    ),
    FPDLoss=lambda _: of_hkdnet('FPDLoss', 'decode_head.fusions.0'),
    DSSDLoss=lambda _: of_hkdnet('DSSDLoss', 'backbone.rgb', data_idx=3),
)


@pytest.mark.parametrize('algorithm', ['mmkd_sod.DenseDistill', 'mmrazor.SingleTeacherDistill'])
@pytest.mark.parametrize('name', CASES)
def test_a_loss_in_a_configurable_distiller(name, algorithm):
    student, teacher, distiller, data = CASES[name](algorithm)
    extra = dict(teacher_allow_missing=['*']) if 'Dense' in algorithm else {}
    model = MODELS.build(
        dict(type=algorithm, architecture=student, teacher=teacher, distiller=distiller, **extra)
    )
    model.train()
    data = model.data_preprocessor(data, training=True)
    if algorithm.startswith('mmrazor'):
        data = dict(batch_inputs=data['inputs'], data_samples=data['data_samples'])
        losses = model.loss(**data)
    else:
        losses = model(**data, mode='loss')
    loss = losses['distill.loss_kd']
    assert loss.dim() == 0 and torch.isfinite(loss) and loss > 0
    model.zero_grad()
    loss.backward()
    grads = [p.grad for p in model.student.parameters() if p.grad is not None]
    assert grads and sum(float(grad.abs().sum()) for grad in grads) > 0
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(p.grad is not None for p in model.distiller.parameters())
    model.parse_losses(losses)


def test_dense_rows_equal_the_rows_of_crosskd():
    """Test that the KL of all bins through DenseRows equals that of CrossKD's rows."""
    from mmkd_sod.models.losses import KDKLDivLoss
    from mmkd_sod.models.task_modules import find_reader

    student, teacher, distiller, data = CASES['KDKLDivLoss']('')
    model = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=student,
            teacher=teacher,
            distiller=distiller,
            teacher_allow_missing=['*'],
        )
    ).train()
    data = model.data_preprocessor(data, training=True)
    found = model(**data, mode='loss')['distill.loss_kd']
    rows = [
        find_reader(net.bbox_head, 'student').flatten(net(data['inputs'], None, 'tensor')).reg
        for net in (model.student, model.teacher)
    ]
    wanted = KDKLDivLoss()(*(row.reshape(-1, 9) for row in rows))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
