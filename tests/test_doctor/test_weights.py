"""Shares of loaded weights and their sources."""

import pytest
import torch
from mmengine.registry import MODELS

from mmkd_sod.doctor import weights
from mmkd_sod.doctor.report import Section
from tests.doctor import findings, run_section


@pytest.fixture
def weigh(scenes):
    """Run the section on a tiny config; return its context and the section."""

    def run(*options, name='crosskd'):
        context, _ = run_section(Nothing, scenes, *options, run=name)
        context.model = MODELS.build(context.cfg.model)
        section = Section('weights', 'Weights')
        weights.examine(context, section)
        return context, section

    return run


class Nothing:
    """Section that does nothing."""

    NAME = TITLE = 'nothing'

    @staticmethod
    def examine(context, section):
        """Nothing."""


@pytest.fixture
def teacher_state(scenes):
    context, _ = run_section(Nothing, scenes)
    return MODELS.build(context.cfg.model).teacher.state_dict()


def test_values_are_counted_per_module():
    state = {
        'neck.a': torch.zeros(2, 3),
        'neck.b': torch.zeros(4),
        'neck.num_batches_tracked': torch.zeros(()),
        'head.w': torch.zeros(1),
    }
    assert weights.count_loaded(state, {'neck.a'}) == dict(neck=(6, 10), head=(0, 1))


def test_a_complete_teacher_is_counted_with_its_epoch(weigh, teacher_state, tmp_path):
    path = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=teacher_state, meta=dict(epoch=7)), path)
    context, section = weigh(f'model.teacher_ckpt={path}', 'model.teacher_allow_missing=[]')
    found = section.data['teacher']
    assert found['share'] == 1 and found['epoch'] == 7 and found['checkpoint'] == str(path)
    assert section.data['student']['share'] == 0 and section.level == 'ok'
    assert context.weights_loaded


def test_a_module_with_random_weights_is_named(weigh, teacher_state, tmp_path):
    path = tmp_path / 'teacher.pth'
    torch.save(
        {key: value for key, value in teacher_state.items() if not key.startswith('bbox_head')},
        path,
    )
    _, section = weigh(f'model.teacher_ckpt={path}', "model.teacher_allow_missing=['bbox_head.*']")
    assert "the teacher's bbox_head stays partly random" in findings(section, 'warning')
    assert 0 < section.data['teacher']['share'] < 1


def test_a_missing_checkpoint_ends_the_section(weigh):
    context, section = weigh('model.teacher_ckpt=none.pth')
    assert "'none.pth' does not exist" in findings(section, 'error')
    assert context.weights_loaded is None
    assert 'student' not in section.data


def test_other_classes_of_the_checkpoint_are_reported(weigh, teacher_state, tmp_path, scenes):
    path = tmp_path / 'teacher.pth'
    torch.save(
        dict(state_dict=teacher_state, meta=dict(dataset_meta=dict(classes=['cat', 'dog']))), path
    )
    context, _ = run_section(Nothing, scenes, f'model.teacher_ckpt={path}')
    context.model = MODELS.build(context.cfg.model)
    context.val_set = type('Set', (), dict(metainfo=dict(classes=('disk', 'square'))))()
    section = Section('weights', 'Weights')
    weights.examine(context, section)
    assert 'trained on the classes cat, dog, the data have disk, square' in findings(
        section, 'warning'
    )


def test_the_students_checkpoint_is_counted(weigh, scenes, tmp_path):
    context, _ = run_section(Nothing, scenes, run='student')
    state = MODELS.build(context.cfg.model).state_dict()
    torch.save(
        dict(state_dict={key: value for key, value in state.items() if key.startswith('backbone')}),
        tmp_path / 'whole.pth',
    )
    _, section = weigh(f'load_from={tmp_path}/whole.pth', name='student')
    parts = section.data['student']['parts']
    assert parts['backbone'][0] == parts['backbone'][1] > 0 == parts['neck'][0]


def test_a_pretrained_backbone_is_counted(weigh, scenes, tmp_path):
    context, _ = run_section(Nothing, scenes, run='student')
    state = MODELS.build(context.cfg.model).backbone.state_dict()
    torch.save(state, tmp_path / 'backbone.pth')
    options = (
        'model.backbone.init_cfg.type=Pretrained',
        f'model.backbone.init_cfg.checkpoint={tmp_path}/backbone.pth',
    )
    _, section = weigh(*options, name='student')
    found = section.data['student']
    assert found['parts']['backbone'][0] == found['parts']['backbone'][1]
    assert found['checkpoints'] == [f'{tmp_path}/backbone.pth']
    torch.save({'other': torch.zeros(1)}, tmp_path / 'backbone.pth')
    _, section = weigh(*options, name='student')
    assert 'nothing of' in findings(section, 'warning')
