"""FCOS and NAS-FCOS: every location counts, by the sum of the centerness targets."""

import pytest
import torch

from tests.heads import record


@pytest.mark.parametrize('name', ['FCOSHead', 'NASFCOSHead'])
def test_normaliser_is_the_sum_of_centerness(name):
    step = record(name)
    assert step.targets.label_weights is None
    labels, boxes = (torch.cat(part) for part in step.records['get_targets'][0])
    left, top, right, bottom = boxes[labels < 3].T
    wanted = (
        (
            (torch.min(left, right) / torch.max(left, right))
            * (torch.min(top, bottom) / torch.max(top, bottom))
        )
        .sqrt()
        .sum()
    )
    torch.testing.assert_close(step.targets.avg_factor, wanted)


def test_without_objects_the_normaliser_is_one():
    step = record('FCOSHead', empty=(0, 1))
    assert step.targets.avg_factor.item() == 1
    assert not step.targets.positive.any()
