"""Heads are found by name, the last of a cascade."""

import torch
from torch import nn

from mmkd_sod.models.submodules import apply_to_hidden, last_head, submodule


def test_submodule_by_dotted_name():
    model = nn.ModuleDict(dict(neck=nn.Sequential(nn.ReLU())))
    assert submodule(model, 'neck.0') is model['neck'][0]
    assert submodule(model, 'bbox_head') is None


def test_last_head_of_a_cascade():
    heads = nn.ModuleList([nn.Identity(), nn.Identity()])
    assert last_head(nn.ModuleDict(dict(decode_head=heads)), 'decode_head') is heads[1]
    assert last_head(nn.ModuleDict(dict(decode_head=heads[0])), 'decode_head') is heads[0]
    assert last_head(nn.Identity(), 'decode_head') is None


def test_networks_and_tensors_in_attributes_are_moved():
    outer, hidden = nn.Sequential(nn.Linear(1, 1)), nn.Linear(1, 1)
    hidden.offset = torch.zeros(2)
    object.__setattr__(outer[0], 'teacher_model', hidden)
    outer[0].offset = torch.zeros(2)
    apply_to_hidden(outer, lambda x: x.double(), tensors=False)
    assert hidden.weight.dtype == torch.float64 and outer[0].weight.dtype == torch.float32
    assert hidden.offset.dtype == outer[0].offset.dtype == torch.float32
    apply_to_hidden(outer, lambda x: x.double(), tensors=True)
    assert hidden.offset.dtype == outer[0].offset.dtype == torch.float64
