"""Tensors in nested structures."""

import torch

from mmkd_sod.utils.tensors import flat, map_tensors


def test_flat_finds_all_floating_tensors_in_order():
    first, second, third = torch.rand(1), torch.rand(2), torch.rand(3)
    nested = dict(a=(first, [torch.arange(2), second]), b=dict(c=third), d=None)
    assert [id(x) for x in flat(nested)] == [id(first), id(second), id(third)]


def test_map_keeps_the_structure():
    value = dict(a=(torch.ones(1), [torch.ones(1), 'x']), b=None)
    found = map_tensors(value, lambda x: x + 1)
    assert found['a'][0] == 2 and found['a'][1][0] == 2 and found['a'][1][1] == 'x'
    assert isinstance(found['a'], tuple) and found['b'] is None
