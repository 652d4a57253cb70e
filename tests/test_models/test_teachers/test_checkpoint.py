"""A teacher's weights arrive whole, or training does not start."""

import pytest
import torch
from torch import nn

from mmkd_sod.errors import CheckpointError
from mmkd_sod.models.teachers import load_teacher_weights


def net(width=3):
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))


def save(path, state):
    torch.save(dict(state_dict=state), path)
    return str(path)


def test_loads_all(tmp_path):
    source, teacher = net(), net()
    load_teacher_weights(teacher, save(tmp_path / 'a.pth', source.state_dict()))
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, source.state_dict()[key])


def test_missing_file():
    with pytest.raises(CheckpointError, match=r"teacher_ckpt 'nowhere\.pth' does not exist"):
        load_teacher_weights(net(), 'nowhere.pth')


def test_missing_keys(tmp_path):
    state = net().state_dict()
    del state['0.bias']
    path = save(tmp_path / 'a.pth', state)
    with pytest.raises(
        CheckpointError, match=r"1 of the teacher's 7 weights are missing .*\(0\.bias\)"
    ):
        load_teacher_weights(net(), path)
    load_teacher_weights(net(), path, allow_missing=['0.*'])


def test_wrong_shapes(tmp_path):
    path = save(tmp_path / 'a.pth', net(4).state_dict())
    with pytest.raises(CheckpointError, match=r'0\.weight: checkpoint \(4, 3, 1, 1\)'):
        load_teacher_weights(net(), path)
    teacher = net()
    before = teacher[0].weight.clone()
    load_teacher_weights(teacher, path, allow_missing=['*'])
    assert torch.equal(teacher[0].weight, before)


def test_statistics_of_training_may_be_missing(tmp_path):
    state = net().state_dict()
    del state['1.num_batches_tracked']
    load_teacher_weights(net(), save(tmp_path / 'a.pth', state))
