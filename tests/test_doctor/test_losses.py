"""Gradients of loss terms compared with the task's, and suggested weights."""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmkd_sod.doctor import losses
from mmkd_sod.doctor.context import Context
from mmkd_sod.doctor.loss_calls import record_loss_calls
from mmkd_sod.doctor.report import Section
from tests.doctor import findings


class Pull(nn.Module):
    """Pulls a student to a teacher, linearly: its gradient is loss_weight in every number."""

    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, student, teacher):
        return self.loss_weight * (student - teacher).sum()


class Pair(nn.Module):
    """A student of two numbers, and a distiller with one loss."""

    def __init__(self, weight):
        super().__init__()
        self.student = nn.Linear(2, 1, bias=False)
        self.distiller = nn.Module()
        self.distiller.loss_pull = Pull(weight)


def judged(weight, task=1.0, **more):
    """The section on a task of gradient (task, task) and a term of (weight, weight)."""
    model = Pair(weight)
    numbers = model.student.weight
    with record_loss_calls(model.distiller) as calls:
        term = model.distiller.loss_pull(numbers, torch.ones(1, 2))
    cfg = Config(dict(model=dict(distiller=dict(loss_pull=dict(loss_weight=weight)))))
    context = Context(
        cfg,
        model=model,
        loss_calls=calls,
        losses={
            'student.loss': task * numbers.sum(),
            'student.acc': torch.ones(()),
            'distill.loss_pull': term,
            **more,
        },
    )
    section = Section('losses', 'Losses')
    losses.examine(context, section)
    return section


@pytest.mark.parametrize('name', ['distill.teacher_entropy', 'distill.1.teacher_entropy'])
@pytest.mark.parametrize(
    'entropy, reported', [(0.02, True), (0.24, True), (0.26, False), (0.9, False)]
)
def test_a_saturated_teacher_is_reported(name, entropy, reported):
    section = judged(1.0, **{name: torch.tensor(entropy)})
    assert ('target_entropy=0.5' in findings(section, 'note')) is reported
    assert ('teacher_entropy' in section.data) is reported


def test_gradients_are_hand_worked():
    section = judged(3.0, task=4.0)
    found = section.data['terms']['distill.loss_pull']
    assert section.data['task_gradient'] == pytest.approx(4 * 2**0.5)
    assert found['gradient'] == pytest.approx(3 * 2**0.5)
    assert found['of_task'] == pytest.approx(0.75) and found['cosine'] == pytest.approx(1)
    assert list(section.data['terms']) == ['student.loss', 'distill.loss_pull']
    assert section.level == 'ok' and section.data['advice'] == {}


@pytest.mark.parametrize(
    'weight, task, level',
    [
        (50.0, 1.0, 'ok'),
        (50.0, 0.4, 'warning'),
        (50.0, 0.1, 'error'),
        (20.0, 10.0, 'ok'),
        # Beyond 100 times its default a weight is judged from 10 times the task's gradient on.
        (150.0, 2.0, 'error'),
        (150.0, 20.0, 'ok'),
    ],
)
def test_terms_that_are_too_large(weight, task, level):
    section = judged(weight, task)
    assert section.level == level, findings(section, 'error')
    if level != 'ok':
        assert f'model.distiller.loss_pull.loss_weight={task:g} (now {weight:g})' in (
            findings(section, level)
        )
        assert section.data['advice']['distill.loss_pull'] == dict(
            setting='model.distiller.loss_pull.loss_weight', now=weight, suggested=task
        )


def test_a_distillation_that_is_too_small():
    section = judged(1.0, task=1e4)
    assert section.level == 'warning'
    assert 'distill.loss_pull is too small' in findings(section, 'warning')
    assert section.data['advice']['distill.loss_pull']['suggested'] == 1e4


def test_a_term_without_gradient_is_said_to_have_none():
    section = judged(0.0)
    assert 'no gradient of the distillation reaches the student' in findings(section, 'warning')


def test_losses_that_are_not_finite_are_named():
    assert 'distill.loss_pull: NaN or infinite' in findings(judged(float('nan')), 'error')


def test_terms_are_what_a_step_adds_up():
    found = losses.terms_of(
        {
            'student.loss_cls': [torch.ones(2), torch.ones(())],
            'student.acc': torch.ones(()),
            'distill.loss_kd': torch.tensor([1.0, 3.0]),
        },
        distils=True,
    )
    assert [(term.name, float(term.value), term.distills) for term in found] == [
        ('student.loss_cls', 2, False),
        ('distill.loss_kd', 2, True),
    ]


@pytest.mark.parametrize(
    'distiller, path, wanted',
    [
        (dict(loss_a=dict()), 'loss_a', 'model.distiller.loss_a'),
        (dict(loss_a=dict()), 'losses.loss_a', 'model.distiller.loss_a'),
        (
            dict(distill_losses=dict(a=dict())),
            'distill_losses.a',
            'model.distiller.distill_losses.a',
        ),
        (
            dict(distillers=[dict(distiller=dict(type='X', loss_a=dict()), weight=1)]),
            'distillers.0.loss_a',
            'model.distiller.distillers.0.distiller.loss_a',
        ),
        (dict(), 'loss_a', 'model.distiller.loss_a'),
    ],
)
def test_settings_are_found_in_the_config(distiller, path, wanted):
    context = Context(Config(dict(model=dict(distiller=distiller))))
    assert losses._config_path(path, context) == wanted


def test_crosskd_weights_are_traced(section):
    terms = section('losses').data['terms']
    assert {name for name, term in terms.items() if term['distills']} == {
        'distill.loss_cls_kd',
        'distill.loss_reg_kd',
    }
    assert all(term['gradient'] > 0 for term in terms.values())


def test_no_weight_is_suggested_for_a_constant_term():
    weight = losses.Weight('model.distiller.loss.loss_weight', 1.0, 1.0)
    text, data = losses.suggestion(weight, 5e-8, images=2)
    assert data is None and 'use at least 3 images per batch' in text
    text, data = losses.suggestion(weight, 5e-8, images=4)
    assert data is None and 'no weight helps' in text and 'CKA' not in text
