"""The interface of distillers: records are arguments, and nothing is kept."""

import gc
import weakref

import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import DenseDistiller, ForwardRecorder, Recorders, Requirements


class Difference(DenseDistiller):
    def prepare(self, student, teacher):
        return Recorders(
            student=dict(out=ForwardRecorder({'y': (student, 'output')})),
            teacher=dict(out=ForwardRecorder({'y': (teacher, 'output')})),
        )

    def compute_losses(self, student, teacher):
        return dict(loss=student['out']['y'][0] - teacher['out']['y'][0])


def records(distiller, student, teacher, x):
    with distiller.record_teacher('') as theirs:
        teacher(x)
    with distiller.record_student() as ours:
        student(2 * x)
    return ours, {'': theirs}


def test_a_step():
    distiller, student, teacher = Difference(), nn.Identity(), nn.Identity()
    distiller.attach(student, {'': teacher})
    assert distiller.student is student
    # The models are not the distiller's own.
    assert not list(distiller.children())
    assert distiller.active and distiller.runs_teacher('')
    assert distiller.step_losses(*records(distiller, student, teacher, 3)) == dict(loss=3)
    assert distiller.idle_losses() == {}


def test_keeps_no_feature_after_a_step():
    distiller, student, teacher = Difference(), nn.Flatten(), nn.Flatten()
    distiller.attach(student, {'': teacher})
    ours, theirs = records(distiller, student, teacher, torch.ones(1, 2))
    features = [weakref.ref(ours['out']['y'][0]), weakref.ref(theirs['']['out']['y'][0])]
    del ours, theirs
    gc.collect()
    assert [feature() for feature in features] == [None, None]


def test_takes_one_teacher():
    with pytest.raises(ConfigError, match='Difference compares with one teacher'):
        Difference().attach(nn.Identity(), dict(a=nn.Identity(), b=nn.Identity()))


def test_refuses_another_size_unless_it_says_so():
    distiller = Difference()
    with pytest.raises(ConfigError, match='scale=2, but Difference compares both on one grid;'):
        distiller.check_teacher_size('', 'scale=2')
    distiller.requirements = Requirements(equal_size=False)
    distiller.check_teacher_size('', 'scale=2')


@pytest.mark.parametrize(
    ('name', 'wanted'),
    [
        ('compute_distill_losses', r'compute_losses\(self, student, teacher\)'),
        ('needs_student_targets', r'Requirements\(student_targets='),
    ],
)
def test_the_earlier_interface_is_refused_by_name(name, wanted):
    with pytest.raises(TypeError, match=f'Old defines {name}, .*{wanted}'):
        type('Old', (DenseDistiller,), {name: True})


def test_prepare_must_return_recorders():
    class Silent(Difference):
        def prepare(self, student, teacher):
            pass

    with pytest.raises(ConfigError, match='returned NoneType; return Recorders'):
        Silent().attach(nn.Identity(), {'': nn.Identity()})
