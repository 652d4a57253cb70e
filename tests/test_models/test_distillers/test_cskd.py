"""CSKDDistiller on small segmentors of mmseg."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_segmentors import random_batch, small_segmentor
from tests.detection import sum_loss

FEAT = dict(type='mmkd_sod.ChannelSpatialKDLoss', projection='fixed', grid=(2, 2))


def segmentor(name='FCN', classes=5, channels=None):
    cfg = small_segmentor(name, classes)
    if channels is not None:
        cfg.decode_head.channels = channels
    return cfg


def build(student=None, teacher=None, **distiller):
    init_default_scope('mmseg')
    return MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=student or segmentor(),
            teacher=teacher or segmentor('PSPNet'),
            teacher_allow_missing=['*'],
            distiller=dict(dict(type='mmkd_sod.CSKDDistiller', loss_feat=FEAT), **distiller),
        )
    ).train()


def losses_of(model, **data):
    return model(**model.data_preprocessor(random_batch(**data), training=True), mode='loss')


def test_terms_are_finite_and_train_the_student_and_the_gammas():
    model = build()
    losses = losses_of(model)
    found = {key.removeprefix('distill.') for key in losses if key.startswith('distill')}
    assert found == {'loss_cwd', 'loss_cam', 'loss_pam'}
    kd = sum(sum_loss(v) for k, v in losses.items() if k.startswith('distill'))
    kd.backward()
    assert torch.isfinite(kd)
    assert model.student.backbone.layer1[0].conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.parameters())
    learned = [name for name in model.state_dict() if name.startswith('distiller.')]
    assert sum('gamma' in name for name in learned) == 2


def test_feature_is_what_enters_the_classifier():
    model = build(student=segmentor(channels=16), teacher=segmentor('PSPNet', channels=24))
    seen = {}
    for name, part in (('student', model.student), ('teacher', model.teacher)):
        part.decode_head.conv_seg.register_forward_pre_hook(
            lambda _, args, name=name: seen.update({name: args[0].shape[1]})
        )
    losses_of(model)
    assert seen == dict(student=16, teacher=24)


def test_zero_weights_leave_the_student_alone():
    init_default_scope('mmseg')
    torch.manual_seed(4)
    plain = build_model(segmentor())
    torch.manual_seed(4)
    model = build(
        loss_feat=dict(FEAT, cam_weight=0.0, pam_weight=0.0),
        loss_logits=dict(type='mmrazor.ChannelWiseDivergence', loss_weight=0.0),
    )
    torch.manual_seed(5)
    wanted = losses_of(plain.train())
    torch.manual_seed(5)
    found = losses_of(model)
    for key, value in wanted.items():
        assert torch.equal(sum_loss(found['student.' + key]), sum_loss(value)), key


def test_logits_alone_and_features_alone():
    keys = set(losses_of(build(loss_feat=None)))
    assert 'distill.loss_cwd' in keys and 'distill.loss_cam' not in keys
    keys = set(losses_of(build(loss_logits=None)))
    assert 'distill.loss_cwd' not in keys and 'distill.loss_cam' in keys
    with pytest.raises(ConfigError, match='nothing is compared'):
        build(loss_feat=None, loss_logits=None)
    with pytest.raises(ConfigError, match="loss_feat.type='NoLoss' is no registered loss"):
        build(loss_feat=dict(type='NoLoss'))


def test_channels_last_and_autocast():
    model = build(loss_feat=None)
    torch.manual_seed(6)  # of the student's dropout
    wanted = losses_of(model)['distill.loss_cwd'].item()
    model.to(memory_format=torch.channels_last)
    torch.manual_seed(6)
    assert losses_of(model)['distill.loss_cwd'].item() == pytest.approx(wanted, rel=1e-3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        total, _ = model.parse_losses(losses_of(model))
    assert torch.isfinite(total)


def test_maps_of_other_sizes_need_the_option():
    student = segmentor('SegFormer')
    with pytest.raises(ConfigError, match="set resize='student' or 'teacher'"):
        losses_of(build(student=copy.deepcopy(student)))
    for side in ('student', 'teacher'):
        losses = losses_of(build(student=copy.deepcopy(student), resize=side))
        assert all(torch.isfinite(sum_loss(v)) for v in losses.values())
    with pytest.raises(ConfigError, match="resize='both'"):
        build(resize='both')


def test_one_image_is_refused_by_the_feature_loss():
    with pytest.raises(ValueError, match='image'):
        losses_of(build(student=segmentor('SegFormer'), teacher=segmentor('SegFormer')), images=1)


@pytest.mark.parametrize(
    'options, sentence',
    [
        (
            dict(teacher=segmentor('PSPNet', classes=7)),
            'student has 5 output channels, the teacher 7',
        ),
        (dict(student_classifier='decode_head.conv_sgg'), "did you mean 'decode_head.conv_seg'"),
        (dict(student_classifier='backbone'), 'is a ResNetV1c; name the convolution'),
        (dict(loss_feat=dict(FEAT, student_channels=3)), 'student_channels=3, but the feature'),
    ],
)
def test_pairs_that_do_not_fit(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(**options)
