"""Pairs and points that are measured build, and their steps run."""

import dataclasses

import pytest
import torch
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def _scope():
    yield
    DefaultScope._instance_dict.clear()


@pytest.mark.parametrize(
    'method, side', [('cskd', (180, 240)), ('hkd', (64, 64)), ('weak_label', (64, 64))]
)
def test_a_step_of_ours_and_of_mmrazors(bench, monkeypatch, method, side):
    pairs = bench('pairs')
    small = dataclasses.replace(pairs.PAIRS[method], images=3, size=side)
    monkeypatch.setitem(pairs.PAIRS, method, small)
    made = pairs.steps(method, ('student', 'teacher', 'plain', 'mmrazor'), 'cpu')
    for step in made.values():
        step()
    assert list(made) == ['student', 'teacher', 'plain', 'mmrazor']


def test_mmrazors_checkpoint_holds_the_teacher_and_ours_does_not(bench):
    pair = bench('pairs').PAIRS['hkd']
    mib = bench('checkpoint_size').mib
    student, teacher, ours, theirs = (
        mib(getattr(pair, name)()) for name in ('student', 'teacher', 'distilled', 'mmrazor')
    )
    assert ours < student * 1.2 and theirs > student + teacher * 0.95


def test_growth_changes_one_thing_at_a_time(bench):
    growth = bench('growth')
    for method, (_, axes) in growth.AXES.items():
        start = {axis: values[0] for axis, values in axes.items()}
        for key, point in growth.points(method).items():
            _, axis, value = key.split()
            assert point[axis] == int(value)
            assert all(point[other] == start[other] for other in axes if other != axis)


def test_growth_sets_what_it_says(bench):
    growth = bench('growth')
    model, data = growth.recipe('crosskd', dict(size=96, batch=2, levels=4, classes=7, teachers=1))
    head = model.teacher.bbox_head
    assert (head.num_classes, head.anchor_generator.strides) == (7, [8, 16, 32, 64])
    assert model.architecture.neck.num_outs == 4
    assert data['inputs'][0].shape == torch.Size([3, 96, 96]) and len(data['inputs']) == 2
    model, data = growth.recipe('cskd', dict(size=90, batch=3, channels=16, classes=5, teachers=1))
    assert (model.architecture.decode_head.channels, model.teacher.decode_head.channels) == (16, 32)
    assert data['inputs'][0].shape == torch.Size([3, 90, 120])
