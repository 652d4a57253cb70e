"""CrossKDDistiller: properties, and what it refuses."""
import pytest
import torch

from mmkd_sod.errors import ConfigError
from tests.detection import HEADS, batch, build_distill, crosskd_cfg, detector, losses_of

ALL = sorted(HEADS)
CENTER = dict(loss_center_kd=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True))


def with_centerness(head):
    return CENTER if head in ('atss', 'fcos') else {}


@pytest.mark.parametrize('idx', range(5))
@pytest.mark.parametrize('head', ALL)
def test_every_split_trains_the_student_alone(head, idx):
    model = build_distill(head, crosskd_cfg(head, idx, **with_centerness(head)))
    losses = losses_of(model)
    kd = {k: v for k, v in losses.items() if k.startswith('distill')}
    assert len(kd) == 2 + bool(with_centerness(head))
    sum(kd.values()).backward()
    grads = {k: p.grad for k, p in model.student.named_parameters()}
    assert all(torch.isfinite(g).all() for g in grads.values() if g is not None)
    assert grads['backbone.conv1.weight'].abs().sum() > 0
    # What lies behind the split gets nothing from distillation.
    for tower in ('cls_convs', 'reg_convs'):
        for block in range(4):
            grad = grads[f'bbox_head.{tower}.{block}.conv.weight']
            assert (grad is not None and bool(grad.abs().sum() > 0)) == (block < idx)
    assert all(p.grad is None for p in model.teacher.parameters())


@pytest.mark.parametrize('idx', [0, 2, 4])
@pytest.mark.parametrize('head', ALL)
def test_zero_when_the_student_is_the_teacher(head, idx):
    model = build_distill(head, crosskd_cfg(head, idx), teacher=detector(head),
                          teacher_fold_bn=False)
    model.student.load_state_dict(model.teacher.state_dict())
    model.student.eval()  # both normalise with the same statistics
    losses = losses_of(model)
    assert losses['distill.loss_cls_kd'].item() == pytest.approx(0, abs=1e-4)
    assert losses['distill.loss_reg_kd'].item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize('head', ALL)
def test_one_image_and_images_without_objects(head):
    model = build_distill(head, crosskd_cfg(head, **with_centerness(head)))
    for data in (batch(images=1), batch(empty=(0, 1))):
        losses = losses_of(model, data)
        assert all(torch.isfinite(losses[k]) for k in losses if k.startswith('distill'))


def test_bins_and_boxes_do_not_mix():
    with pytest.raises(ConfigError, match='GFLHead.*RetinaHead|heads of one kind'):
        build_distill('gfl', teacher=detector('retinanet', width=8))


@pytest.mark.parametrize('idx', [9, -1, 5, '3', 2.0, True])
def test_index_out_of_range(idx):
    with pytest.raises(ConfigError, match=r'reused_teacher_head_idx=.*choose 0 \.\.\. 4'):
        build_distill(distiller=crosskd_cfg(idx=idx))


def test_index_is_bound_by_the_shallower_head():
    model = build_distill(distiller=crosskd_cfg(idx=2), student=detector(convs=2))
    assert 'distill.loss_cls_kd' in losses_of(model)
    with pytest.raises(ConfigError, match="student's towers have 2 blocks and the teacher's 4"):
        build_distill(distiller=crosskd_cfg(idx=3), student=detector(convs=2))


@pytest.mark.parametrize('teacher, idx, sentence', [
    (dict(channels=64), 3, 'needs equal tower channels, student 32, teacher 64'),
    (dict(channels=64), 0, 'needs equal input channels, student 32, teacher 64'),
    (dict(classes=4), 3, 'classes of the heads must agree, student 3, teacher 4'),
    (dict(reg_max=16), 3, 'reg_max of the heads must agree, student 8, teacher 16'),
])
def test_heads_that_do_not_fit(teacher, idx, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_distill(distiller=crosskd_cfg(idx=idx), teacher=detector(width=8, **teacher))


def test_strides_and_box_coding_must_agree():
    teacher = detector(width=8)
    teacher['bbox_head']['anchor_generator']['strides'] = [4, 8, 16, 32, 64]
    with pytest.raises(ConfigError, match='strides of the heads'):
        build_distill(teacher=teacher)
    teacher = detector('retinanet', width=8)
    teacher['bbox_head']['bbox_coder']['target_stds'] = [1., 1., 1., 1.]
    with pytest.raises(ConfigError, match='stds of the heads'):
        build_distill('retinanet', teacher=teacher)


def test_centerness_needs_a_head_that_has_it():
    with pytest.raises(ConfigError, match='GFLHead has no centerness'):
        build_distill(distiller=crosskd_cfg(**CENTER))


def test_detectors_without_a_dense_head():
    two_stage = dict(cfg_path='mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    with pytest.raises(ConfigError, match='has no bbox_head'):
        build_distill(teacher=two_stage, check_preprocessor=False)


def test_heads_that_cannot_be_crossed():
    cfg = dict(cfg_path='mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py')
    with pytest.raises(ConfigError, match="teacher's head YOLOV3Head cannot .* no towers"):
        build_distill(teacher=cfg, check_preprocessor=False)
