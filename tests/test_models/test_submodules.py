"""Heads are found by name, the last of a cascade."""

from torch import nn

from mmkd_sod.models.submodules import last_head, submodule


def test_submodule_by_dotted_name():
    model = nn.ModuleDict(dict(neck=nn.Sequential(nn.ReLU())))
    assert submodule(model, 'neck.0') is model['neck'][0]
    assert submodule(model, 'bbox_head') is None


def test_last_head_of_a_cascade():
    heads = nn.ModuleList([nn.Identity(), nn.Identity()])
    assert last_head(nn.ModuleDict(dict(decode_head=heads)), 'decode_head') is heads[1]
    assert last_head(nn.ModuleDict(dict(decode_head=heads[0])), 'decode_head') is heads[0]
    assert last_head(nn.Identity(), 'decode_head') is None
