"""Several teachers of one student."""

import copy

import pytest
import torch

from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.teachers.group import build_teachers, is_named
from mmkd_sod.registry import MODELS
from tests.saliency import batch, scfnet
from tests.test_models.test_distillers.test_averaged import WEAK, composite, pair_of

PARTS = (
    dict(distiller=WEAK, teacher='a', name='a'),
    dict(distiller=WEAK, teacher='b', name='b', end=1),
)


def two(**options):
    torch.manual_seed(0)
    return pair_of(composite(*copy.deepcopy(PARTS)), dict(a=scfnet(), b=scfnet()), **options)


def at(model, epoch):
    model.distiller.set_epoch(epoch)
    return model(*batch(), mode='loss')


def test_what_counts_as_several():
    assert is_named(dict(a=dict(type='X'), b=dict(cfg_path='y')))
    assert not any(
        is_named(value)
        for value in (None, {}, dict(type='X'), dict(cfg_path='y', backbone=dict()), dict(a=1))
    )


def test_each_distiller_compares_with_its_teacher():
    model = two()
    losses = at(model, 0)
    alone = pair_of(WEAK, model.teachers['b'])
    alone.student.load_state_dict(model.student.state_dict())
    for level in range(4):
        key = f'loss_weak_{level}'
        assert losses[f'distill.b.{key}'] != losses[f'distill.a.{key}']
    for level, value in enumerate(alone.train()(*batch(), mode='loss').values()):
        assert losses[f'distill.b.loss_weak_{level}'].item() == pytest.approx(
            value.item(), rel=1e-5
        )


def test_a_teacher_that_nobody_asks_does_not_run():
    model = two()
    at(model, 0)
    model.teachers['b'].forward = None  # would raise if it were called
    losses = at(model, 1)
    assert losses['distill.b.loss_weak_0'] == 0 and losses['distill.weight_b'] == 0
    assert losses['distill.a.loss_weak_0'] > 0


def test_none_is_in_the_module_tree():
    model = two().train()
    ours = {id(p) for p in model.parameters()}
    for teacher in model.teachers.values():
        assert not any(id(p) in ours or p.requires_grad for p in teacher.parameters())
        assert not any(m.training for m in teacher.modules())
    assert set(model.state_dict()) == set(MODELS.build(scfnet()).state_dict())
    assert model.teacher is model.teachers['a']
    copied = copy.deepcopy(model)
    assert all(copied.teachers[name] is teacher for name, teacher in model.teachers.items())
    assert at(copied, 0).keys() == at(model, 0).keys()
    assert next(model.double().teachers['b'].parameters()).dtype == torch.float64


def test_checkpoints_by_name(tmp_path):
    path = tmp_path / 'b.pth'
    torch.save(dict(state_dict=MODELS.build(scfnet()).state_dict()), path)
    model = two(teacher_ckpt=dict(b=str(path)))
    model = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=scfnet(),
            teacher=dict(a=scfnet(), b=scfnet()),
            teacher_ckpt=dict(b=str(path)),
            teacher_allow_missing=dict(b=[]),
            distiller=composite(*copy.deepcopy(PARTS)),
        )
    )
    with pytest.raises(CheckpointError, match='teacher_ckpt is None'):
        model.init_weights()


@pytest.mark.parametrize(
    'options, says',
    [
        (dict(teacher_ckpt='x.pth'), 'entry for each'),
        (dict(teacher_ckpt=dict(c='x.pth')), "names 'c'"),
        (dict(teacher_input=dict(scale=2.0)), "names 'scale'"),
    ],
)
def test_refuses_settings_that_do_not_fit(options, says):
    with pytest.raises(ConfigError, match=says):
        two(**options)


@pytest.mark.parametrize(
    'distiller, says',
    [
        (WEAK, 'use CompositeDistiller'),
        (composite(WEAK), 'does not name its teacher'),
        (composite(dict(distiller=WEAK, teacher='c')), "names 'c'"),
    ],
)
def test_refuses_a_distiller_that_does_not_choose(distiller, says):
    with pytest.raises(ConfigError, match=says):
        pair_of(distiller, dict(a=scfnet(), b=scfnet()))


def test_one_teacher_has_no_name():
    with pytest.raises(ConfigError, match='one teacher without a name'):
        pair_of(composite(dict(distiller=WEAK, teacher='a')), scfnet())
    with pytest.raises(ConfigError, match='there is one teacher'):
        build_teachers(scfnet(), dict(a='x.pth'), (), None)
    with pytest.raises(ConfigError, match='teacher=None'):
        build_teachers(None, None, (), dict(scale=2.0))
    built = build_teachers(build_model(scfnet()), None, (), None)
    assert list(built.modules) == ['']
