"""Which reader a pair of detectors gets."""

import pytest
from mmdet.models import CascadeRoIHead, GFLHead, StandardRoIHead
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.task_modules.cascade import CascadeCross
from mmkd_sod.models.task_modules.dense import DenseCross
from mmkd_sod.models.task_modules.kinds import cross_reader_class, crossing_head, find_cross_reader
from mmkd_sod.models.task_modules.two_stage import TwoStageCross


class Model(nn.Module):
    """A detector as far as its heads are concerned."""

    def __init__(self, **heads):
        super().__init__()
        for name, head in heads.items():
            self.add_module(name, head)


@pytest.mark.parametrize(
    'head, reader',
    [
        (StandardRoIHead, TwoStageCross),
        (CascadeRoIHead, CascadeCross),
        (GFLHead, DenseCross),
        (type('OwnRoIHead', (StandardRoIHead,), {}), TwoStageCross),
    ],
)
def test_reader_of_a_head_or_of_its_base(head, reader):
    assert cross_reader_class(head, 'student') is reader


def test_the_roi_head_comes_first():
    roi, box = nn.Identity(), nn.Identity()
    assert crossing_head(Model(bbox_head=box, roi_head=roi), 'student') is roi
    assert crossing_head(Model(bbox_head=box), 'student') is box
    with pytest.raises(ConfigError, match='the teacher Model has no bbox_head or roi_head'):
        crossing_head(Model(), 'teacher')


def test_kinds_that_differ_are_refused():
    dense, roi = (cls.__new__(cls) for cls in (GFLHead, StandardRoIHead))
    for head in (dense, roi):
        nn.Module.__init__(head)
    with pytest.raises(ConfigError, match='GFLHead .* StandardRoIHead .* of different kinds'):
        find_cross_reader(Model(bbox_head=dense), Model(roi_head=roi))
