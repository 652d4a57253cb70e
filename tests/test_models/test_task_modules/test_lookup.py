"""Choosing the reader of a head, and heads that are refused."""

import pytest
from mmdet.models import dense_heads, roi_heads
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.task_modules import (
    REFUSED,
    DenseCross,
    GFLReader,
    cross_reader_class,
    find_reader,
    reader_class,
)
from mmkd_sod.registry import CROSS_READERS, HEAD_READERS


def test_every_head_of_mmdet_is_read_or_refused():
    for name in dense_heads.__all__:
        if name in ('FeatureAdaption', 'YOLACTProtonet'):  # parts of heads
            continue
        try:
            reader = cross_reader_class(getattr(dense_heads, name), 'student')
        except ConfigError as error:
            # onedl-mmdetection has a head for lanes, which is unknown and refused.
            reason = (
                'no reader for' if name == 'CLRHead' else 'cannot be distilled across heads, since'
            )
            assert reason in str(error), name
        else:
            # By its own name, not by that of a base class.
            assert (CROSS_READERS.get(name) or DenseCross) is reader
            assert name in CROSS_READERS.module_dict or name in HEAD_READERS.module_dict


def test_names_exist():
    assert not set(REFUSED) & set(HEAD_READERS.module_dict)
    assert all(
        hasattr(dense_heads, name) or hasattr(roi_heads, name)
        for name in REFUSED
        if name != 'AnchorFreeHead'
    )
    assert all(hasattr(dense_heads, name) for name in HEAD_READERS.module_dict)


def test_a_subclass_with_the_same_prediction_gets_the_same_reader():
    class Alike(dense_heads.GFLHead):
        def init_weights(self):
            pass

    assert reader_class(Alike, 'student') is GFLReader


@pytest.mark.parametrize('method', ['forward', 'forward_single', 'get_targets', 'loss_by_feat'])
def test_a_subclass_with_its_own_prediction_is_refused(method):
    other = type('Other', (dense_heads.GFLHead,), {method: lambda self: None})
    with pytest.raises(
        ConfigError,
        match=rf"Other has its own {method}, .*name='Other', "
        r'module=GFLReader',
    ):
        reader_class(other, 'teacher')


def test_a_registered_subclass_is_read(monkeypatch):
    other = type('Registered', (dense_heads.GFLHead,), {'forward': lambda self: None})
    monkeypatch.setitem(HEAD_READERS._module_dict, 'Registered', GFLReader)
    assert reader_class(other, 'student') is GFLReader


def test_subclasses_of_refused_heads_are_refused():
    with pytest.raises(ConfigError, match='PISASSDHead cannot .* no towers'):
        reader_class(dense_heads.PISASSDHead, 'student')


def test_unknown_heads_are_refused():
    with pytest.raises(ConfigError, match="no reader for the teacher's head Identity"):
        find_reader(nn.Identity(), 'teacher')
