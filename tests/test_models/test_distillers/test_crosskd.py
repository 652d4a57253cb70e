"""CrossKDDistiller: properties, and what it refuses."""

import pytest
import torch
from mmengine.runner.checkpoint import get_state_dict

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from tests.detection import HEADS, REG_KD, batch, build_distill, crosskd_cfg, detector, losses_of

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
    model = build_distill(
        head, crosskd_cfg(head, idx), teacher=detector(head), teacher_fold_bn=False
    )
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


@pytest.mark.parametrize(
    'teacher, idx, sentence',
    [
        (dict(channels=64), 3, 'needs equal tower channels, student 32, teacher 64.*adapter=True'),
        (dict(channels=64), 0, 'needs equal input channels, student 32, teacher 64.*adapter=True'),
        (dict(classes=4), 3, 'classes .* must agree, student 3, teacher 4; .*class_mapping'),
        (dict(reg_max=16), 3, 'reg_max of the heads must agree, student 8, teacher 16'),
    ],
)
def test_heads_that_do_not_fit(teacher, idx, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_distill(distiller=crosskd_cfg(idx=idx), teacher=detector(width=8, **teacher))


def test_strides_and_box_coding_must_agree():
    teacher = detector(width=8)
    teacher['bbox_head']['anchor_generator']['strides'] = [4, 8, 16, 32, 64]
    with pytest.raises(ConfigError, match='strides of the heads'):
        build_distill(teacher=teacher)
    teacher = detector('retinanet', width=8)
    teacher['bbox_head']['bbox_coder']['target_stds'] = [1.0, 1.0, 1.0, 1.0]
    with pytest.raises(ConfigError, match='stds of the heads'):
        build_distill('retinanet', teacher=teacher)


def test_centerness_needs_a_head_that_has_it():
    with pytest.raises(ConfigError, match='GFLHead has no centerness'):
        build_distill(distiller=crosskd_cfg(**CENTER))


def test_detectors_of_two_kinds():
    two_stage = dict(cfg_path='mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    with pytest.raises(
        ConfigError,
        match=r"student's GFLHead \(dense\) and the teacher's StandardRoIHead \(two-stage\)",
    ):
        build_distill(teacher=two_stage, check_preprocessor=False)


def test_heads_that_cannot_be_crossed():
    cfg = dict(cfg_path='mmdet::ssd/ssd300_coco.py')
    with pytest.raises(ConfigError, match="teacher's head SSDHead cannot .* no towers"):
        build_distill(teacher=cfg, check_preprocessor=False)


@pytest.mark.parametrize(
    'head, idx, student_idx',
    [('gfl', 3, None), ('gfl', 0, None), ('fcos', 2, 1), ('atss', 1, 0), ('retinanet', 0, 2)],
)
def test_adapters_bridge_towers_of_other_widths(head, idx, student_idx):
    cfg = crosskd_cfg(head, idx, adapter=True, student_head_idx=student_idx)
    model = build_distill(
        head, cfg, teacher=detector(head, width=8, channels=64), student=build_distill(head).student
    )
    kernels = {name: p for name, p in model.named_parameters() if name.startswith('distiller.')}
    assert {tuple(p.shape) for p in kernels.values()} == {(64, 32, 1, 1)}
    assert set(kernels) == {f'distiller.adapters.{t}.weight' for t in ('cls_convs', 'reg_convs')}
    losses = losses_of(model)
    sum(v for k, v in losses.items() if k.startswith('distill')).backward()
    assert all(p.grad.abs().sum() > 0 for p in kernels.values())
    assert model.student.backbone.conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.parameters())


def test_adapters_leave_the_random_stream_alone():
    teacher = detector(width=8, channels=64)
    torch.manual_seed(4)
    plain = build_distill(teacher=detector(width=8))
    after = torch.rand(1)
    torch.manual_seed(4)
    model = build_distill(distiller=crosskd_cfg(adapter=True), teacher=teacher)
    assert torch.equal(torch.rand(1), after)
    for key, value in plain.student.state_dict().items():
        assert torch.equal(value, model.student.state_dict()[key])


def test_adapters_are_trained_and_saved():
    teacher = detector(width=8, channels=64)
    model = build_distill(distiller=crosskd_cfg(adapter=True), teacher=teacher)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = {k: v.clone() for k, v in model.distiller.state_dict().items()}
    model.parse_losses(losses_of(model))[0].backward()
    optimizer.step()
    state = get_state_dict(model)
    names = {key for key in state if key.startswith('distiller.')}
    assert len(names) == 2
    assert all(not torch.equal(state[key], before[key.removeprefix('distiller.')]) for key in names)
    other = build_distill(distiller=crosskd_cfg(adapter=True), teacher=teacher)
    other.load_state_dict(state, strict=True)
    assert torch.equal(
        other.distiller.adapters.cls_convs.weight, model.distiller.adapters.cls_convs.weight
    )


def test_no_adapter_no_parameter():
    assert not list(build_distill().distiller.parameters())


@pytest.mark.parametrize('student_idx, idx', [(1, 3), (3, 1), (0, 2), (2, 0), (0, 4)])
def test_towers_of_other_depths(student_idx, idx):
    cfg = crosskd_cfg(idx=idx, student_head_idx=student_idx)
    model = build_distill(distiller=cfg, student=detector(convs=3))
    losses = losses_of(model)
    sum(v for k, v in losses.items() if k.startswith('distill')).backward()
    for block, conv in enumerate(model.student.bbox_head.cls_convs):
        grad = conv.conv.weight.grad
        assert (grad is not None and bool(grad.any())) == (block < student_idx)


@pytest.mark.parametrize(
    'idx, student_idx, name',
    [
        (5, 1, 'reused_teacher_head_idx=5'),
        (1, 4, 'student_head_idx=4'),
        (1, -1, 'student_head_idx'),
    ],
)
def test_either_index_may_be_out_of_range(idx, student_idx, name):
    cfg = crosskd_cfg(idx=idx, student_head_idx=student_idx)
    with pytest.raises(ConfigError, match=name):
        build_distill(distiller=cfg, student=detector(convs=3))


def test_classes_are_mapped():
    torch.manual_seed(1)
    plain = build_distill(distiller=crosskd_cfg(idx=2))
    # A teacher whose 5 classes hold those of the plain one at 4, 0 and 2.
    mapping = [4, 0, 2]
    model = build_distill(
        distiller=crosskd_cfg(idx=2, class_mapping=mapping),
        student=plain.student,
        teacher=detector(width=8, classes=5),
    )
    state = model.teacher.state_dict()
    for key, value in plain.teacher.state_dict().items():
        if key.startswith('bbox_head.gfl_cls'):
            state[key][mapping] = value
        else:
            state[key] = value
    model.teacher.load_state_dict(state)
    wanted, found = losses_of(plain), losses_of(model)
    for key in wanted:
        if key.startswith('distill'):
            assert found[key].item() == pytest.approx(wanted[key].item(), rel=1e-4), key


def test_a_class_without_counterpart_takes_no_part():
    torch.manual_seed(1)
    plain = build_distill()
    found = {}
    for mapping in ([0, 1, 2], [0, None, 2]):
        model = build_distill(
            distiller=crosskd_cfg(class_mapping=mapping),
            student=plain.student,
            teacher=plain.teacher,
        )
        found[str(mapping)] = losses_of(model)['distill.loss_cls_kd'].item()
    assert losses_of(plain)['distill.loss_cls_kd'].item() == pytest.approx(found['[0, 1, 2]'])
    assert 0 < found['[0, None, 2]'] < found['[0, 1, 2]']


@pytest.mark.parametrize(
    'mapping, sentence',
    [
        ([0, 1], 'names 2 classes, the student has 3'),
        ([0, 1, 5], 'contains 5, the teacher has the classes 0 ... 4'),
        ([0, 1, '2'], "contains '2'"),
        ([0, 1, True], 'contains True'),
        ([None] * 3, 'maps no class'),
    ],
)
def test_mappings_that_do_not_fit(mapping, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_distill(
            distiller=crosskd_cfg(class_mapping=mapping), teacher=detector(width=8, classes=5)
        )


@pytest.mark.parametrize('head', ALL)
def test_without_arguments_the_terms_are_the_papers(head):
    model = build_distill(head, dict(type='mmkd_sod.CrossKDDistiller'))
    found, reader = dict(model.distiller.named_children()), model.distiller.reader
    assert (reader.idx, reader.student_idx) == ((2, 2) if head == 'fcos' else (3, 3))
    assert found['loss_cls_kd'].loss_weight == (0.4 if head == 'fcos' else 1.0)
    wanted = MODELS.build(REG_KD[head])
    assert type(found['loss_reg_kd']) is type(wanted)
    assert found['loss_reg_kd'].loss_weight == wanted.loss_weight
    assert ('loss_center_kd' in found) == (head == 'atss')
    sum(v for k, v in losses_of(model).items() if k.startswith('distill')).backward()
    assert model.student.backbone.conv1.weight.grad.any()
