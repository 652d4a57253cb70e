"""CrossKD of detectors that are not dense: properties per kind, and what is refused."""

import copy
import functools

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_zoo import SMALL_KINDS, rich_batch, small_zoo_detector
from tests.ranks import in_ranks

# One detector per reader; the others are swept by a slow test.
KINDS = (
    'cascade_mask_rcnn',
    'condinst',
    'deformable_detr',
    'mask2former',
    'mask_rcnn',
    'sparse_rcnn',
    'yolov3',
)


def build(student, teacher=None, width=8, **distiller):
    """Build a student and a random teacher from configs of mmdet; KD defaults unless given."""
    init_default_scope('mmdet')
    MessageHub.get_current_instance().update_info('iter', 10)  # which BoxInst reads
    torch.manual_seed(0)
    teacher = small_zoo_detector(teacher or student, width) if width else teacher
    model = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=student if isinstance(student, dict) else small_zoo_detector(student),
            teacher=teacher,
            distiller=dict(type='mmkd_sod.CrossKDDistiller', **distiller),
            teacher_allow_missing=['*'],
            teacher_exact=True,
            check_preprocessor=False,
        )
    )
    for part in (model.student, model.teacher):
        part.init_weights()
    return model.train()


@functools.cache
def pair(name):
    return build(name)


def settle(student):
    """Make the student's forward independent of the batch and of random numbers."""
    for module in student.modules():
        if isinstance(module, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.Dropout)):
            module.eval()


def distilled(model, data=None, **options):
    """Return the distillation losses of a batch."""
    model.zero_grad()
    data = rich_batch(**options) if data is None else data
    losses = model(**model.data_preprocessor(copy.deepcopy(data), training=True), mode='loss')
    return {name: value for name, value in losses.items() if name.startswith('distill.')}


def check_step(model):
    """Train the student by the distillation losses alone: finite, and nothing of the teacher."""
    losses = distilled(model)
    sum(losses.values()).backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(value) for value in [*losses.values(), *(g.sum() for g in grads)])
    assert model.student.backbone.conv1.weight.grad.any()
    assert all(p.grad is None and not p.requires_grad for p in model.teacher.parameters())
    return losses


@pytest.mark.parametrize('name', KINDS)
def test_the_default_configuration_trains_the_student_alone(name):
    losses = check_step(pair(name))
    assert {key.split('.')[-1] for key in losses} >= {'loss_cls_kd'}
    assert all(value >= 0 for value in losses.values()) and any(losses.values())


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(set(SMALL_KINDS) - set(KINDS)))
def test_every_other_detector(name):
    check_step(build(name))


@pytest.mark.parametrize('name', KINDS)
def test_images_without_objects(name):
    for empty in ((0,), (0, 1)):
        losses = distilled(pair(name), empty=empty)
        assert all(torch.isfinite(value) for value in losses.values()), losses


@pytest.mark.parametrize('name', KINDS)
def test_zero_when_the_student_is_the_teacher(name):
    model = build(name, width=4)
    model.student.load_state_dict(model.teacher.state_dict())
    settle(model.student)
    with torch.no_grad():
        found, random = distilled(model), distilled(pair(name))
    for key, value in found.items():
        if 'center' in key:  # a cross entropy, whose least value is not 0
            continue
        assert value <= 1e-4 * random[key] + 1e-6, (key, value, random[key])


# On a CPU mmcv's NMS and RoIAlign have no bfloat16, with or without distillation.
@pytest.mark.parametrize('name', ['condinst', 'deformable_detr', 'mask2former', 'yolov3'])
def test_autocast(name):
    model = pair(name)
    data = rich_batch()
    torch.manual_seed(0)
    full = sum(distilled(model, data).values()).item()
    torch.manual_seed(0)
    with torch.autocast('cpu', torch.bfloat16):
        losses = distilled(model, data)
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(model.student.backbone.conv1.weight.grad).all()
    assert total.item() == pytest.approx(full, rel=0.3)


@pytest.mark.parametrize('name', ['mask_rcnn', 'deformable_detr', 'yolov3'])
def test_two_processes_equal_one(name, tmp_path):
    model = build(name)
    settle(model.student)
    data = rich_batch()

    def work(rank, world):
        share = {key: value[rank::world] for key, value in data.items()}
        return {key: value.detach() for key, value in distilled(model, share).items()}

    whole = {key: value.item() for key, value in distilled(model, data).items()}
    ranks = in_ranks(2, work, tmp_path / 'ranks')
    scale = 2 if name == 'yolov3' else 1  # whose terms are sums, divided by nothing
    for key, value in whole.items():
        mean = sum(rank[key].item() for rank in ranks) / 2
        assert scale * mean == pytest.approx(value, rel=1e-3), key


def test_queries_of_the_student():
    model = build('deformable_detr', queries='student')
    sum(distilled(model).values()).backward()
    assert model.student.decoder.layers[0].self_attn.attn.in_proj_weight.grad.any()
    assert all(p.grad is None for p in model.student.bbox_head.cls_branches.parameters())


@pytest.mark.parametrize('options', [dict(masks='all'), dict(boxes='decoded'), dict(adapter=True)])
def test_options_of_two_stage_detectors(options):
    model = build('mask_rcnn', **options)
    losses = check_step(model)
    assert len(losses) == 3
    if 'adapter' in options:
        assert model.distiller.adapters['neck'].weight.grad.any()


def test_losses_can_be_left_out():
    losses = distilled(build('mask_rcnn', loss_mask_kd=False, loss_reg_kd=False))
    assert set(losses) == {'distill.loss_cls_kd'}


@pytest.mark.parametrize(
    'student, teacher, options, sentence',
    [
        ('mask_rcnn', 'yolov3', {}, r'StandardRoIHead \(two-stage\).*YOLOV3Head \(YOLOv3\).*PKD'),
        ('mask_rcnn', 'cascade_rcnn', {}, 'CascadeRoIHead'),
        ('mask_rcnn', None, dict(queries='student'), 'queries is given, which two-stage'),
        ('mask_rcnn', None, dict(masks='some'), "masks='some'; choose class or all"),
        ('mask_rcnn', None, dict(loss_xy_kd=dict(type='mmdet.L1Loss')), 'StandardRoIHead has no'),
        ('detr', 'conditional_detr', {}, 'student DETRHead, teacher ConditionalDETRHead'),
        ('dino', None, dict(queries='student'), "denoising queries.*queries='teacher'"),
        ('sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py', None, {}, 'SABLHead codes boxes by buckets'),
        ('grid_rcnn/grid-rcnn_r50_fpn_gn-head_1x_coco.py', None, {}, 'GridRoIHead cannot.*PKD'),
    ],
)
def test_pairs_that_do_not_fit(student, teacher, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(student, teacher, **options)


def test_widths_of_the_necks_must_agree():
    student = small_zoo_detector('mask_rcnn')
    student['neck']['out_channels'] = 32
    student['rpn_head']['in_channels'] = 32
    for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
        student['roi_head'][name]['out_channels'] = 32
    for name in ('bbox_head', 'mask_head'):
        student['roi_head'][name]['in_channels'] = 32
    with pytest.raises(ConfigError, match='32 channels .student. and 256 .teacher.*adapter=True'):
        build(student, 'mask_rcnn')
