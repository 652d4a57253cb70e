"""Shapes and ranges of compared tensors, and pairs that do not fit."""

import pytest
from torch import nn

from mmkd_sod.doctor.loss_calls import Argument, LossCall
from mmkd_sod.doctor.report import Section
from mmkd_sod.doctor.tensors import _check, shape_text
from tests.doctor import findings


def checked(ours, theirs, low=0.0, high=1.0, finite=True) -> Section:
    section = Section('tensors', 'Tensors')
    _check(
        LossCall(
            'loss',
            nn.Identity(),
            'loss',
            [
                Argument('student', ours, 0.0, 1.0, 0.5, True),
                Argument('teacher', theirs, low, high, 0.5, finite),
            ],
        ),
        section,
    )
    return section


@pytest.mark.parametrize(
    'ours, theirs, level',
    [
        ([(2, 8, 4, 4)], [(2, 16, 4, 4)], 'ok'),
        ([(2, 8, 4, 4)], [(2, 8, 8, 8)], 'warning'),
        ([(2, 8, 4, 4)] * 5, [(2, 8, 4, 4)] * 4, 'error'),
    ],
)
def test_pairs(ours, theirs, level):
    assert checked(ours, theirs).level == level


def test_values():
    shapes = [(2, 8, 4, 4)]
    assert 'teacher has NaN or infinite' in findings(checked(shapes, shapes, finite=False), 'error')
    assert 'teacher is 0 everywhere' in findings(checked(shapes, shapes, high=0.0), 'warning')


@pytest.mark.parametrize(
    'shapes, wanted',
    [
        ([(2, 3)], '2x3'),
        ([(2, 3)] * 3, '3 of 2x3'),
        ([()], '1'),
        ([(1, 8), (1, 4), (1, 2), (1, 1)], '1x8, ..., 1x1'),
    ],
)
def test_shapes_are_short(shapes, wanted):
    assert shape_text(shapes) == wanted


def test_crosskd_compares_cross_head_predictions(section):
    found = section('tensors').data['comparisons']
    assert [item['loss'] for item in found] == ['loss_cls_kd', 'loss_reg_kd']
    student, teacher = found[0]['tensors'][:2]
    assert student['shapes'] == teacher['shapes'] and student['shapes'][0][1] == 6
    assert student['low'] < student['mean'] < student['high']
