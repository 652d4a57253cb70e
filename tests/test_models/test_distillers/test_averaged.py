"""AveragedTeachers: the mean of what several heads gave."""

import copy

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers.averaged import AveragedTeachers, average_logits
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_segmentors import random_batch, small_segmentor
from tests.detection import batch, build_distill, crosskd_cfg, detector, losses_of
from tests.saliency import batch as sod_batch
from tests.saliency import scfnet

WEAK = dict(type='mmkd_sod.WeakLabelDistiller')


def composite(*entries):
    return dict(type='mmkd_sod.CompositeDistiller', distillers=list(entries))


def pair_of(distiller, teachers, student=None, **options):
    return MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=student or scfnet(),
            teacher=teachers,
            teacher_allow_missing=['*'],
            distiller=distiller,
            calculate_student_loss=False,
            **options,
        )
    )


def test_by_hand():
    a, b = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[3.0, 5.0]]]])
    assert average_logits([a, b]).tolist() == [[[[2, 4]]]]
    assert [x.tolist() for x in average_logits([[a, b], [b, b]])] == [[[[[2, 4]]]], [[[[3, 5]]]]]
    # One map beside several: the finest counts.
    assert average_logits([a, [b, a]])[0].tolist() == [[[[2, 4]]]]
    assert average_logits([dict(x=a), dict(x=b)])['x'].tolist() == [[[[2, 4]]]]
    assert isinstance(average_logits([(a,), (b,)]), tuple)


def test_on_the_grid_of_the_first_and_without_gradient():
    a = torch.randn(2, 3, 4, 4, requires_grad=True)
    found = average_logits([a, torch.ones(2, 3, 8, 8)])
    assert found.shape == a.shape and not found.requires_grad
    assert torch.allclose(found, (a + 1) / 2)
    half = average_logits([a.bfloat16(), a.bfloat16()])
    assert half.dtype == torch.float32


@pytest.mark.parametrize(
    'outputs, says',
    [
        ([torch.ones(1, 2, 4, 4), torch.ones(1, 3, 4, 4)], 'equal batches and channels'),
        ([torch.ones(1, 2), dict(x=1)], 'of one kind'),
        (['a', 'b'], 'has no average'),
    ],
)
def test_refuses_what_has_no_average(outputs, says):
    with pytest.raises(ConfigError, match=says):
        average_logits(outputs)


def test_the_student_follows_the_mean_of_the_logits():
    torch.manual_seed(0)
    model = pair_of(
        composite(dict(distiller=WEAK, teacher=['a', 'b'])), dict(a=scfnet(), b=scfnet())
    )
    inputs, samples = sod_batch()
    found = model(inputs, samples, mode='loss')
    # The same student and BN statistics of the batch, the average taken by hand.
    logits = torch.stack(
        [teacher(inputs, samples, mode='tensor')[0] for teacher in model.teachers.values()]
    ).mean(0)
    wanted = pair_of(WEAK, scfnet())
    wanted.student.load_state_dict(model.student.state_dict())
    wanted.distiller._recorders.teacher['finest'].reduce = lambda _, out: logits
    for key, value in wanted(inputs, samples, mode='loss').items():
        assert found[key].item() == pytest.approx(value.item(), rel=1e-5), key
    assert found['distill.loss_weak_0'] > 0


def test_two_equal_teachers_are_one():
    torch.manual_seed(0)
    model = pair_of(
        composite(
            dict(distiller=WEAK, teacher=['a', 'b'], name='both'),
            dict(distiller=WEAK, teacher='a', name='one'),
        ),
        dict(a=scfnet(), b=scfnet()),
    )
    model.teachers['b'].load_state_dict(model.teachers['a'].state_dict())
    losses = model(*sod_batch(), mode='loss')
    for level in range(4):
        assert losses[f'distill.both.loss_weak_{level}'].item() == pytest.approx(
            losses[f'distill.one.loss_weak_{level}'].item(), rel=1e-5
        )


def test_cskd_takes_averaged_logits_and_refuses_averaged_features():
    teachers = dict(a=small_segmentor('FCN'), b=small_segmentor('PSPNet'))
    cskd = dict(type='mmkd_sod.CSKDDistiller')
    entry = dict(distiller=cskd, teacher=['a', 'b'])
    options = dict(student=small_segmentor('FCN'))
    with pytest.raises(ConfigError, match='loss_feat=None'):
        pair_of(composite(copy.deepcopy(entry)), copy.deepcopy(teachers), **copy.deepcopy(options))
    cskd['loss_feat'] = None
    model = pair_of(composite(entry), teachers, **options)
    data = model.data_preprocessor(random_batch(2), training=True)
    assert model(**data, mode='loss')['distill.loss_cwd'] > 0


def test_refuses_heads_that_do_not_agree():
    with pytest.raises(ConfigError, match='out_channels'):
        AveragedTeachers(
            {
                name: MODELS.build(dict(small_segmentor('FCN', classes=count)))
                for name, count in (('a', 3), ('b', 5))
            }
        )


def test_crosskd_refuses_an_average_and_takes_one_of_two():
    teachers = dict(a=detector(width=8), b=detector(width=8))
    with pytest.raises(ConfigError, match='average of several teachers'):
        build_distill(
            distiller=composite(dict(distiller=crosskd_cfg(), teacher=['a', 'b'])),
            teacher=copy.deepcopy(teachers),
        )
    model = build_distill(
        teacher=teachers,
        distiller=composite(
            dict(distiller=crosskd_cfg(), teacher='a', name='a'),
            dict(distiller=crosskd_cfg(), teacher='b', name='b'),
        ),
    )
    losses = losses_of(model, batch())
    assert losses['distill.a.loss_cls_kd'] != losses['distill.b.loss_cls_kd']
