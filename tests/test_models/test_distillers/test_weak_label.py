"""WeakLabelDistiller: the teacher's finest map is every level's target; masks are not needed."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import DiceLoss
from mmkd_sod.models.saliency import resize_like
from tests.saliency import batch, distill, scfnet

STUDENTS = dict(
    fast_scnn='mmseg::fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py',
    bisenetv2='mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
    stdc='mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
    segformer_b0='mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
)


def released_loss(model, inputs):
    """The released program's loss, from the two networks' maps."""
    with torch.no_grad():
        target = resize_like(model.teacher(inputs, mode='tensor')[0], inputs.shape[2:])
    dice = DiceLoss(sigmoid_target=True)
    return [
        weight * dice(resize_like(x, inputs.shape[2:]), target)
        for x, weight in zip(
            model.student(inputs, mode='tensor'), (1, 0.5, 0.25, 0.125), strict=True
        )
    ]


def test_equals_the_released_formula():
    model, (inputs, samples) = distill().eval(), batch()
    losses = model(inputs, samples, mode='loss')
    assert list(losses) == [f'distill.loss_weak_{i}' for i in range(4)]
    for found, expected in zip(losses.values(), released_loss(model, inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_only_the_student_learns_and_nothing_stays():
    model, (inputs, samples) = distill().train(), batch()
    sum(model(inputs, samples, mode='loss').values()).backward()
    assert model.student.backbone.conv.conv.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.parameters())
    assert not model.teacher.training
    assert 'forward' not in vars(model.student) and 'forward' not in vars(model.teacher.decode_head)


def test_beside_the_students_own_loss():
    model, (inputs, samples) = distill(calculate_student_loss=True).eval(), batch(label=True)
    losses = model(inputs, samples, mode='loss')
    assert {'student.decode.loss_sp_m2', 'distill.loss_weak_0'} < set(losses)
    for i, expected in enumerate(released_loss(model, inputs)):
        torch.testing.assert_close(losses[f'distill.loss_weak_{i}'], expected, rtol=1e-5, atol=1e-5)


def test_offline_reads_labels_and_runs_no_teacher():
    model = distill(teacher=None, distiller=dict(source='offline')).eval()
    inputs, samples = batch(weak=True)
    losses = model(inputs, samples, mode='loss')
    labels = torch.stack([s.weak_label.data for s in samples])
    finest = resize_like(model.student(inputs, mode='tensor')[0], inputs.shape[2:])
    torch.testing.assert_close(losses['distill.loss_weak_0'], DiceLoss()(finest, labels))
    assert model.teacher is None and model.train().training
    model.init_weights()


def test_offline_equals_online_on_the_teachers_own_maps():
    online, (inputs, samples) = distill().eval(), batch(weak=True)
    offline = distill(teacher=None, distiller=dict(source='offline')).eval()
    offline.load_state_dict(online.state_dict())
    expected = online(inputs, samples, mode='loss')
    with torch.no_grad():
        maps = resize_like(online.teacher(inputs, mode='tensor')[0], inputs.shape[2:]).sigmoid()
    for sample, label in zip(samples, maps, strict=True):
        sample.weak_label.data = label
    found = offline(inputs, samples, mode='loss')
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', STUDENTS)
def test_any_segmentor_can_learn(name):
    student = get_config(STUDENTS[name]).model
    student.decode_head.update(num_classes=2, out_channels=1, threshold=0.5)
    student.pop('auxiliary_head', None)
    student['_scope_'] = 'mmseg'
    for part in (student.backbone, student.decode_head):
        if 'norm_cfg' in part:
            part.norm_cfg = dict(type='BN')
    student.data_preprocessor = dict(type='mmkd_sod.SODDataPreprocessor')
    student.backbone.pop('init_cfg', None)
    if 'backbone_cfg' in student.backbone:
        student.backbone.backbone_cfg.pop('init_cfg', None)
    model, (inputs, samples) = distill(Config(dict(m=student)).m).eval(), batch(side=128)
    losses = model(inputs, samples, mode='loss')
    assert list(losses) == ['distill.loss_weak_0']
    losses['distill.loss_weak_0'].backward()
    grads = [p.grad for p in model.student.parameters()]
    assert sum(g is not None for g in grads) > 0.9 * len(grads)


def test_two_channels_and_aligned_corners():
    two = dict(
        type='mmseg.EncoderDecoder',
        backbone=scfnet().backbone,
        data_preprocessor=scfnet().data_preprocessor,
        decode_head=dict(
            type='mmseg.FCNHead', in_channels=80, channels=8, num_classes=2, align_corners=True
        ),
        test_cfg=dict(mode='whole'),
    )
    model, (inputs, samples) = distill(two, teacher=two).eval(), batch()
    (loss,) = model(inputs, samples, mode='loss').values()

    def salient(net):
        x = net(inputs, mode='tensor')
        return torch.nn.functional.interpolate(
            x, (64, 64), mode='bilinear', align_corners=True
        ).softmax(1)[:, 1:]

    expected = DiceLoss()(torch.logit(salient(model.student)), salient(model.teacher))
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'kwargs, words',
    [
        (dict(distiller=dict(source='both')), "choose 'online' or 'offline'"),
        (dict(teacher=None), 'needs a teacher, got teacher=None'),
        (dict(distiller=dict(source='offline')), 'needs teacher=None, got EncoderDecoder'),
        (
            dict(
                student=dict(
                    type='mmseg.EncoderDecoder',
                    backbone=scfnet().backbone,
                    decode_head=dict(
                        type='mmseg.FCNHead', in_channels=80, channels=8, num_classes=5
                    ),
                )
            ),
            'the student .* has 5 output channels',
        ),
    ],
)
def test_refuses_pairs(kwargs, words):
    with pytest.raises(ConfigError, match=words):
        distill(**dict(dict(check_preprocessor=False), **kwargs))


def test_refuses_batches():
    inputs, samples = batch()
    model = distill(teacher=None, distiller=dict(source='offline'))
    with pytest.raises(ConfigError, match='put mmkd_sod.LoadWeakLabel into the training pipeline'):
        model(inputs, samples, mode='loss')
    with pytest.raises(ConfigError, match='has 4 maps, level_weights has 2'):
        distill(distiller=dict(level_weights=(1, 1)))(inputs, samples, mode='loss')
