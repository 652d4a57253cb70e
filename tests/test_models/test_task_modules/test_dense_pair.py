"""What CrossKDDistiller refuses of two heads, beyond test_crosskd.py: other heads and softmax."""

import pytest

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.task_modules import find_reader
from mmkd_sod.models.task_modules.dense_pair import check_pair
from tests.heads import built


def reader(name):
    return find_reader(built(name).bbox_head, 'student')


@pytest.mark.parametrize(
    'student, teacher',
    [
        ('RetinaHead', 'PISARetinaHead'),
        ('PISARetinaHead', 'RetinaSepBNHead'),
        ('GFLHead', 'LDHead'),
        ('PAAHead', 'LADHead'),
        ('RTMDetHead', 'RTMDetSepBNHead'),
    ],
)
def test_heads_of_one_family_fit(student, teacher):
    check_pair(reader(student), reader(teacher), 1, 1)


@pytest.mark.parametrize(
    'student, teacher',
    [('ATSSHead', 'PAAHead'), ('RetinaHead', 'FSAFHead'), ('FCOSHead', 'AutoAssignHead')],
)
def test_heads_of_two_families_do_not(student, teacher):
    with pytest.raises(ConfigError, match=f'{student} and .* {teacher} have different outputs'):
        check_pair(reader(student), reader(teacher), 1, 1)


def test_heads_of_one_family_may_code_boxes_otherwise():
    # mmdet's FreeAnchor has other deltas than its RetinaNet.
    with pytest.raises(ConfigError, match='stds of the heads must agree'):
        check_pair(reader('RetinaHead'), reader('FreeAnchorRetinaHead'), 1, 1)


def test_softmax_classes_are_refused(monkeypatch):
    head = built('RetinaHead').bbox_head
    monkeypatch.setattr(head, 'use_sigmoid_cls', False)
    with pytest.raises(ConfigError, match="student's head RetinaHead is not supported: .*softmax"):
        check_pair(reader('RetinaHead'), reader('RetinaHead'), 1, 1)


def test_tood_is_split_behind_one_block_on_both_sides():
    check_pair(reader('TOODHead'), reader('TOODHead'), 2, 2)
    with pytest.raises(ConfigError, match='TOODHead reads every block .*student_head_idx=1'):
        check_pair(reader('TOODHead'), reader('TOODHead'), 1, 2)


def test_number_of_levels_must_agree():
    retina, other = reader('RetinaHead'), reader('RetinaHead')
    other.layout = lambda: dict(retina.layout(), strides=[(8, 8)])
    with pytest.raises(ConfigError, match='strides of the heads must agree'):
        check_pair(retina, other, 1, 1)
