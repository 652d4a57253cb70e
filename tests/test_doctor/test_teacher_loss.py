"""Teachers are judged by their loss where there are no validation data."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmkd_sod.doctor.report import Section
from mmkd_sod.doctor.teacher_loss import is_labelled, judge_losses
from tests.doctor import examine

NO_VALIDATION = ('val_dataloader=None', 'val_cfg=None', 'val_evaluator=None')


@pytest.mark.parametrize('teacher, good', [(0.5, True), (0.95, False), (3.0, False)])
def test_verdicts(teacher, good):
    section = Section('score', 'Score')
    judge_losses(teacher, 1.0, section, 'teacher')
    assert (section.level == 'ok') == good


def test_nan_is_no_better_than_random():
    section = Section('score', 'Score')
    judge_losses(float('nan'), 1.0, section, 'teacher')
    assert section.level == 'error'


def test_labels_are_boxes_or_maps():
    sample = DetDataSample()
    batch = dict(inputs=[torch.zeros(3, 2, 2)], data_samples=[sample])
    assert not is_labelled(batch) and not is_labelled(None)
    sample.gt_instances = InstanceData()
    assert is_labelled(batch)


def test_a_random_teacher_is_recognised_without_validation_data(scenes):
    report = examine(scenes, *NO_VALIDATION)
    text = ' '.join(report.findings('error'))
    assert 'its loss on a labelled batch is' in text and 'val_dataloader' not in text
