"""TeacherInput: another resolution, another view, geometry in step."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from mmseg.models import SegDataPreProcessor

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.losses import DiceLoss
from mmkd_sod.models.saliency import resize_like
from mmkd_sod.models.teachers.teacher_input import TeacherInput
from mmkd_sod.registry import MODELS
from tests.detection import batch as det_batch
from tests.detection import build_distill, crosskd_cfg, losses_of
from tests.rgbd import hkdnet
from tests.saliency import batch, scfnet
from tests.test_models.test_algorithms.test_dense_distill import PKD
from tests.test_models.test_distillers.test_averaged import WEAK, pair_of


class Teacher:
    """A teacher as far as its input is concerned."""

    data_preprocessor = SegDataPreProcessor(mean=[1.0, 2.0, 3.0], std=[2.0] * 3, bgr_to_rgb=True)


def sample(shape, view=None, **meta):
    found = BaseDataElement(metainfo=dict(img_shape=shape, **meta))
    if view is not None:
        found.set_field(dict(img=view), 'teacher_view')
    return found


def test_scale_resizes_the_batch_and_tells_the_sizes():
    inputs = torch.randn(2, 3, 32, 40)
    samples = [
        sample((30, 40), pad_shape=(32, 40), batch_input_shape=(32, 40), scale_factor=(2.0, 1.0))
        for _ in range(2)
    ]
    samples[0].set_field(torch.ones(1), 'label')
    found, told = TeacherInput(scale=1.5)(inputs, samples, Teacher)
    assert torch.equal(found, F.interpolate(inputs, (48, 60), mode='bilinear'))
    assert told[0].metainfo == dict(
        img_shape=(45, 60), pad_shape=(48, 60), batch_input_shape=(48, 60), scale_factor=(3.0, 1.5)
    )
    assert 'label' not in told[0] and samples[0].img_shape == (30, 40)
    assert TeacherInput(scale=1)(inputs, samples, Teacher)[0] is inputs
    assert TeacherInput(scale=0.5)(inputs, None, Teacher)[0].shape == (2, 3, 16, 20)


def test_views_lie_where_the_students_images_lie():
    # Two images in a batch of 32 x 48, of other sizes, at half of what the teacher sees.
    shapes = [(20, 48), (32, 30)]
    views = [torch.randint(0, 256, (3, 2 * h, 2 * w), dtype=torch.uint8) for h, w in shapes]
    samples = [sample(shape, view) for shape, view in zip(shapes, views, strict=True)]
    found, told = TeacherInput(view='teacher_view')(torch.zeros(2, 3, 32, 48), samples, Teacher)
    assert found.shape == (2, 3, 64, 96)
    wanted = (views[0].flip(0).float() - torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)) / 2
    assert torch.equal(found[0, :, :40], wanted)
    assert not found[0, :, 40:].any() and not found[1, :, :, 60:].any()
    assert [one.img_shape for one in told] == [(40, 96), (64, 60)]


def test_a_mark_stays_at_its_place():
    view = torch.zeros(3, 64, 64, dtype=torch.uint8)
    view[:, 40:48, 16:24] = 200
    student = F.avg_pool2d(view[None].float(), 2)
    seen, _ = TeacherInput(view='teacher_view')(student, [sample((32, 32), view)], Teacher)
    small = F.avg_pool2d(seen, 2)
    assert torch.equal((small > 50)[0], (student > 100)[0])


def test_views_of_several_ratios_are_refused():
    samples = [sample((32, 32), torch.zeros(3, side, side)) for side in (64, 32)]
    with pytest.raises(DataError, match='need one ratio'):
        TeacherInput(view='teacher_view')(torch.zeros(2, 3, 32, 32), samples, Teacher)
    with pytest.raises(DataError, match='add mmkd_sod.TeacherView'):
        TeacherInput(view='other')(torch.zeros(2, 3, 32, 32), samples, Teacher)


@pytest.mark.parametrize(
    'settings',
    [{}, dict(scale=2.0, view='a'), dict(scale=0), dict(scale=True), dict(scale=float('inf'))],
)
def test_refuses(settings):
    with pytest.raises(ConfigError, match='teacher_input'):
        TeacherInput(**settings)


def test_crosskd_refuses_another_resolution_at_once():
    with pytest.raises(ConfigError, match='CrossKDDistiller compares both on one grid'):
        build_distill(teacher_input=dict(scale=2.0))
    both = dict(type='mmkd_sod.CompositeDistiller', distillers=[copy.deepcopy(PKD), crosskd_cfg()])
    with pytest.raises(ConfigError, match='CrossKDDistiller'):
        build_distill(distiller=both, teacher_input=dict(scale=0.5))


def test_crosskd_refuses_views_of_another_size_and_takes_those_of_its_own():
    model = build_distill(teacher_input=dict(view='teacher_view'))
    data = det_batch()
    for image, one in zip(data['inputs'], data['data_samples'], strict=True):
        one.set_field(dict(img=image), 'teacher_view')
    torch.manual_seed(1)
    wanted = losses_of(build_distill(), copy.deepcopy(data))
    torch.manual_seed(1)
    found = losses_of(build_distill(teacher_input=dict(view='teacher_view')), copy.deepcopy(data))
    for key in ('distill.loss_cls_kd', 'distill.loss_reg_kd'):
        assert found[key].item() == pytest.approx(wanted[key].item(), rel=1e-5)
    for one in data['data_samples']:
        one.set_field(dict(img=one.teacher_view['img'][:, ::2, ::2]), 'teacher_view')
    with pytest.raises(ConfigError, match='the teacher gets'):
        losses_of(model, data)


def test_features_of_a_detector_at_another_resolution():
    model = build_distill(distiller=copy.deepcopy(PKD), teacher_input=dict(scale=1.5))
    assert losses_of(model)['distill.loss_feat_kd'] > 0


def test_weak_labels_of_a_teacher_at_another_resolution():
    model = pair_of(WEAK, scfnet(), teacher_input=dict(scale=2.0))
    inputs, samples = batch()
    found = model(inputs, samples, mode='loss')
    doubled = F.interpolate(inputs, scale_factor=2.0, mode='bilinear')
    with torch.no_grad():
        target = model.teacher(doubled, samples, mode='tensor')[0]
        maps = model.student(inputs, samples, mode='tensor')[0]
    wanted = DiceLoss()(resize_like(maps, (64, 64)), resize_like(target, (64, 64)).sigmoid())
    assert found['distill.loss_weak_0'].item() == pytest.approx(wanted.item(), rel=1e-5)


@pytest.mark.parametrize('resize_fused', [False, True])
def test_fused_features_are_brought_to_the_students_grid(resize_fused):
    from tests.rgbd import batch as rgbd_batch

    cfg = dict(
        type='mmkd_sod.DenseDistill',
        architecture=hkdnet(),
        teacher=hkdnet(),
        teacher_allow_missing=['*'],
        teacher_input=dict(scale=2.0),
        distiller=dict(
            type='mmkd_sod.HKDDistiller',
            loss_fpd=dict(type='mmkd_sod.FPDLoss'),
            resize_fused=resize_fused,
        ),
    )
    if not resize_fused:
        with pytest.raises(ConfigError, match='resize_fused=True'):
            MODELS.build(cfg)
        return
    model = MODELS.build(cfg).train()
    data = model.data_preprocessor(rgbd_batch(2, 64, 64), training=True)
    loss = model(**data, mode='loss')['distill.loss_fpd']
    assert torch.isfinite(loss) and loss > 0


def test_an_rgbd_teacher_of_an_rgb_student_wants_a_view():
    with pytest.raises(ConfigError, match='teacher_input'):
        pair_of(WEAK, hkdnet())
    model = pair_of(WEAK, hkdnet(), teacher_input=dict(view='teacher_view'))
    inputs, samples = batch(2, 64)
    for one in samples:
        one.set_field(
            dict(
                img=torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8),
                depth=torch.rand(1, 64, 64),
            ),
            'teacher_view',
        )
    shallow = model(inputs, samples, mode='loss')
    assert shallow['distill.loss_weak_0'] > 0
    for one in samples:  # the teacher reads the depth map
        one.teacher_view['depth'] = 1 - one.teacher_view['depth']
    assert (
        model(inputs, samples, mode='loss')['distill.loss_weak_0'] != shallow['distill.loss_weak_0']
    )


@pytest.mark.parametrize('swap', [False, True])
def test_normalise_converts_to_the_teachers_preprocessing(swap):
    ours = SegDataPreProcessor(mean=[4.0, 5.0, 6.0], std=[7.0, 8.0, 9.0], bgr_to_rgb=swap)
    pixels = torch.randint(0, 256, (3, 8, 12), dtype=torch.uint8)
    data = lambda: dict(inputs=[pixels.clone()], data_samples=[sample((8, 12))])  # noqa: E731
    convert = TeacherInput(normalise=True)
    convert.bind(ours, Teacher)
    found, _ = convert(ours(data())['inputs'], None, Teacher)
    assert torch.allclose(found, Teacher.data_preprocessor(data())['inputs'], atol=1e-4)
    both = TeacherInput(normalise=True, scale=0.5)
    both.bind(ours, Teacher)
    assert both(ours(data())['inputs'], None, Teacher)[0].shape == (1, 3, 4, 6)


def test_normalise_refuses_depth():
    ours = SegDataPreProcessor(mean=[1.0] * 4, std=[1.0] * 4)
    with pytest.raises(ConfigError, match=r'1 or 3 channels.*have \[3, 4\]'):
        TeacherInput(normalise=True).bind(ours, Teacher)
