"""NaN and infinite values are found by name."""

import math

import torch

from mmkd_sod.utils.finite import non_finite


def test_names_the_tensors_that_are_not_finite():
    named = dict(
        good=torch.ones(3),
        nan=torch.tensor([0.0, math.nan]),
        inf=torch.tensor(-math.inf, dtype=torch.bfloat16),
        whole=torch.tensor([2**40]),
        complex=torch.tensor(complex(0, math.inf)),
        empty=torch.zeros(0),
    )
    assert non_finite(named.items()) == ['nan', 'inf', 'complex']
    assert non_finite([]) == []
