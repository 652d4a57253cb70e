"""HKDDistiller: released terms, one step for every kind of student, refusals."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.hkd import HKDOutputs
from mmkd_sod.models.losses.soft_signal import map_entropy
from mmkd_sod.registry import MODELS
from tests.conftest import golden_files
from tests.parity.hkd import FULL, PNLAD, terms
from tests.rgbd import batch, hkdnet


def distill(distiller, student=None, teacher=None):
    student = MODELS.build(student or hkdnet())
    teacher = MODELS.build(teacher or hkdnet())
    for model in (student, teacher):
        model.init_weights()
    return MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill', architecture=student, teacher=teacher, distiller=distiller
        )
    )


def rgbd_losses(algorithm, number=2):
    data = algorithm.data_preprocessor(batch(number, 64, 64), training=True)
    return algorithm(**data, mode='loss')


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('hkd_*.json'))
def test_golden_by_epoch(path):
    for pair in terms(path):
        assert pair.difference <= 1e-5, pair


@pytest.mark.parametrize('number', [1, 3])
def test_full_recipe_one_step(number):
    algorithm = distill(FULL)
    algorithm.distiller.set_epoch(0)
    losses = rgbd_losses(algorithm, number)
    terms = {
        'loss_pos',
        'loss_neg',
        'loss_fpd',
        'loss_dssd',
        'loss_dssd_decoder',
        'loss_label',
        'teacher_entropy',
        'tau_pos',
    }
    assert {key.removeprefix('distill.') for key in losses if 'distill' in key} == terms
    own = sum(value for key, value in losses.items() if key.startswith('student.'))
    torch.testing.assert_close(losses['distill.loss_label'], 0.0625 * own)
    if number == 1:
        assert losses['distill.loss_dssd'] == losses['distill.loss_dssd_decoder'] == 0
    total, logged = algorithm.parse_losses(losses)
    assert 'distill.teacher_entropy' in logged and logged['distill.tau_pos'] == 4
    total.backward()
    assert all(p.grad is not None for p in algorithm.student.parameters())
    assert all(p.grad is None for p in algorithm.teacher.parameters())


def test_nothing_to_learn_from_oneself():
    algorithm = distill(FULL)
    algorithm.eval()
    algorithm.teacher.load_state_dict(algorithm.student.state_dict())
    for epoch in (0, 31, 61):
        algorithm.distiller.set_epoch(epoch)
        losses = rgbd_losses(algorithm)
        for name in ('pos', 'neg', 'fpd', 'dssd', 'dssd_decoder'):
            assert losses[f'distill.loss_{name}'].abs() < 1e-5, name


def test_stages_set_the_weights_of_the_maps():
    algorithm = distill(FULL)
    for epoch, weights in ((0, (4, 1, 1, 1)), (31, (4, 1, 0, 0)), (61, (4, 1, 0, 0))):
        algorithm.distiller.set_epoch(epoch)
        assert algorithm.student.decode_head.level_weights == weights
        losses = rgbd_losses(algorithm)
        assert (losses['student.decode.loss_bce_m4'] == 0) == (epoch > 30)
        assert (losses['distill.loss_dssd_decoder'] == 0) == (epoch > 30)
        assert (losses['distill.loss_neg'] == 0) == (epoch > 60)
    assert algorithm.teacher.decode_head.level_weights == (4, 1, 1, 1)


@pytest.mark.parametrize(
    'part, names',
    [
        (
            dict(loss_pnlad=dict(type='mmkd_sod.PNLADLoss')),
            {'loss_pos', 'loss_neg', 'teacher_entropy', 'tau_pos'},
        ),
        (dict(loss_fpd=FULL['loss_fpd']), {'loss_fpd'}),
        (dict(loss_dssd=FULL['loss_dssd']), {'loss_dssd'}),
        (dict(loss_dssd_decoder=FULL['loss_dssd_decoder']), {'loss_dssd_decoder'}),
    ],
)
def test_each_part_alone(part, names):
    algorithm = distill(dict(type='mmkd_sod.HKDDistiller', **part))
    losses = rgbd_losses(algorithm)
    distilled = {key.removeprefix('distill.') for key in losses if key.startswith('distill.')}
    assert distilled == names
    sum(losses[f'distill.{name}'] for name in names if 'loss' in name).backward()
    assert sum(p.grad is not None for p in algorithm.student.parameters()) > 20


def fcn(channels, width=8, **head):
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', size_divisor=32, bgr_to_rgb=True),
        backbone=dict(
            type='mmseg.ResNetV1c',
            depth=18,
            base_channels=width,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
        ),
        decode_head=dict(
            type='mmseg.FCNHead',
            in_channels=8 * width,
            channels=8,
            num_convs=1,
            in_index=3,
            num_classes=channels,
            loss_decode=dict(type='mmseg.CrossEntropyLoss'),
            **head,
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )


@pytest.mark.parametrize('mode', ['row', 'position', 'pixel'])
def test_pnlad_on_a_multi_class_segmentor(mode):
    algorithm = distill(
        dict(
            type='mmkd_sod.HKDDistiller',
            loss_pnlad=dict(type='mmkd_sod.PNLADLoss', mode=mode),
            label_weight=0.0625,
        ),
        fcn(11),
        fcn(11, width=16),
    )
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 11, (1, 64, 96))))
        for _ in range(2)
    ]
    losses = algorithm(torch.randn(2, 3, 64, 96), samples, mode='loss')
    assert losses['distill.loss_pos'] > 0 and losses['distill.loss_neg'] > 0
    torch.testing.assert_close(
        losses['distill.loss_label'], 0.0625 * losses['student.decode.loss_ce']
    )
    algorithm.parse_losses(losses)[0].backward()


def test_one_map_learns_from_the_finest_of_several_at_another_size():
    distiller = MODELS.build(
        dict(type='mmkd_sod.HKDDistiller', loss_pnlad=dict(type='mmkd_sod.PNLADLoss', mode='pixel'))
    )
    maps = [torch.randn(2, 1, 32, 32), torch.randn(2, 1, 16, 16)]
    student = torch.nn.functional.interpolate(maps[0], size=(64, 64), mode='nearest')
    same = distiller.terms(HKDOutputs(logits=maps[:1]), HKDOutputs(logits=maps))
    assert same['loss_pos'].abs() < 1e-6
    resized = distiller.terms(HKDOutputs(logits=[student]), HKDOutputs(logits=maps))
    # Half of a 2 x 2 block of equal values lies on each side of the middle.
    assert resized['loss_pos'].abs() < 1e-6
    several = distiller.terms(HKDOutputs(logits=maps), HKDOutputs(logits=maps[:1]))
    assert several['loss_pos'] > 1e-4


def test_no_labels_are_needed_where_only_the_teacher_speaks():
    algorithm = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=MODELS.build(hkdnet()),
            teacher=MODELS.build(hkdnet()),
            calculate_student_loss=False,
            distiller=dict(type='mmkd_sod.HKDDistiller', loss_pnlad=PNLAD),
        )
    )
    data = algorithm.data_preprocessor(batch(2, 64, 64, labels=False), training=True)
    losses = algorithm(**data, mode='loss')
    assert all(key.startswith('distill.') for key in losses)


def test_the_temperature_follows_the_wanted_entropy_and_is_kept():
    cfg = dict(
        type='mmkd_sod.HKDDistiller',
        target_entropy=0.4,
        momentum=0.5,
        loss_pnlad=dict(type='mmkd_sod.PNLADLoss', mode='pixel'),
    )
    distiller = MODELS.build(cfg)
    hard, soft = torch.randn(2, 1, 32, 32) * 40, torch.randn(2, 1, 32, 32)
    first = distiller.terms(HKDOutputs(logits=[soft]), HKDOutputs(logits=[hard]))
    assert map_entropy(hard) < 0.1
    assert first['teacher_entropy'] == pytest.approx(0.4, abs=1e-3)
    second = distiller.terms(HKDOutputs(logits=[soft]), HKDOutputs(logits=[soft]))
    assert first['tau_pos'] > second['tau_pos'] > 1
    again = MODELS.build(cfg)
    again.load_state_dict(distiller.state_dict())
    torch.testing.assert_close(
        again.terms(HKDOutputs(logits=[soft]), HKDOutputs(logits=[soft]))['tau_pos'],
        distiller.terms(HKDOutputs(logits=[soft]), HKDOutputs(logits=[soft]))['tau_pos'],
    )


def test_other_networks_name_their_features():
    sources = dict(fused=['backbone.layer3'], encoder=['backbone'])
    algorithm = distill(
        dict(
            type='mmkd_sod.HKDDistiller',
            sources=sources,
            loss_fpd=dict(type='mmkd_sod.FPDLoss'),
            loss_dssd=dict(type='mmkd_sod.DSSDLoss'),
        ),
        fcn(3),
        fcn(3),
    )
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 3, (1, 32, 32)))) for _ in range(2)
    ]
    losses = algorithm(torch.randn(2, 3, 32, 32), samples, mode='loss')
    assert losses['distill.loss_fpd'] > 0 and losses['distill.loss_dssd'] > 0


def test_one_output_channel_and_two_go_together():
    distiller = MODELS.build(
        dict(type='mmkd_sod.HKDDistiller', loss_pnlad=dict(type='mmkd_sod.PNLADLoss'))
    )
    two, one = torch.randn(2, 2, 8, 8), torch.randn(2, 1, 8, 8)
    difference = two[:, 1:] - two[:, :1]
    mixed = distiller.terms(HKDOutputs(logits=[one]), HKDOutputs(logits=[two]))
    plain = distiller.terms(HKDOutputs(logits=[one]), HKDOutputs(logits=[difference]))
    assert mixed['loss_pos'] == plain['loss_pos'] > 0
    distill(
        dict(type='mmkd_sod.HKDDistiller', loss_pnlad=PNLAD),
        fcn(2),
        fcn(2, out_channels=1, threshold=0.5),
    )


@pytest.mark.parametrize(
    'distiller, student, teacher, words',
    [
        (dict(), None, None, 'nothing is compared'),
        (
            dict(loss_pnlad=PNLAD),
            fcn(11),
            fcn(3),
            'the student has 11 output channels, the teacher 3',
        ),
        (
            dict(loss_fpd=dict(type='mmkd_sod.FPDLoss')),
            fcn(3),
            fcn(3),
            "reads 'decode_head.fusions.0', which the student, a EncoderDecoder",
        ),
        (
            dict(loss_dssd=dict(type='mmkd_sod.DSSDLoss')),
            None,
            fcn(3),
            "reads 'backbone.rgb', which the teacher",
        ),
        (dict(loss_pnlad=PNLAD, schedule=dict()), fcn(3), fcn(3), 'FCNHead has no level_weights'),
        (dict(loss_pnlad=PNLAD, target_entropy=1.5), None, None, 'target_entropy=1.5'),
    ],
)
def test_refused_at_build(distiller, student, teacher, words):
    with pytest.raises(ConfigError, match=words):
        distill(dict(type='mmkd_sod.HKDDistiller', **distiller), student, teacher)


def test_a_schedule_without_its_hook_is_refused():
    with pytest.raises(ConfigError, match='EpochScheduleHook'):
        rgbd_losses(distill(FULL))


def test_a_schedule_may_leave_the_maps_weights_alone():
    algorithm = distill(
        dict(
            type='mmkd_sod.HKDDistiller',
            schedule=dict(gt_weights=None),
            loss_pnlad=dict(type='mmkd_sod.PNLADLoss'),
        ),
        fcn(3),
        fcn(3),
    )
    algorithm.distiller.set_epoch(0)
    assert algorithm.distiller.stage.tau_neg == 34


def test_models_without_a_decode_head_are_refused():
    distiller = MODELS.build(dict(type='mmkd_sod.HKDDistiller', loss_pnlad=PNLAD))
    with pytest.raises(ConfigError, match='the student is a Linear without one'):
        distiller.prepare(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1))
