"""Head readers: the tail of a head, and which reader a head gets."""
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.distillers import ForwardRecorder
from mmkd_sod.models.heads import find_reader, flatten_levels
from tests.detection import HEADS, detector


def head_of(name):
    init_default_scope('mmdet')
    model = build_model(detector(name))
    model.init_weights()
    return model.bbox_head.eval()


@pytest.mark.parametrize('idx', range(5))
@pytest.mark.parametrize('name', sorted(HEADS))
def test_tail_on_own_features_is_the_head(name, idx):
    head = head_of(name)
    reader = find_reader(head, 'student')
    feats = tuple(torch.randn(2, 32, size, size) for size in (8, 4, 2, 2, 2))
    towers = {tower: getattr(head, tower) for tower in reader.towers}
    if idx == 0:
        wanted, data = head(feats), dict.fromkeys(reader.towers, feats)
    else:
        with ForwardRecorder(reader.tower_taps(idx)) as tap:
            wanted = head(feats)
        data = reader.collect(tap.data)
    found = reader.run_tail(data, idx)
    for ours, theirs in zip(found, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert all(getattr(head, tower) is blocks for tower, blocks in towers.items())


def test_towers_are_back_after_an_error():
    head = head_of('gfl')
    reader = find_reader(head, 'student')
    blocks = head.cls_convs
    with pytest.raises((RuntimeError, StopIteration)):
        reader.run_tail(dict.fromkeys(reader.towers, [torch.zeros(1, 5, 2, 2)] * 5), 1)
    assert head.cls_convs is blocks


def test_rows_follow_level_image_row_column_anchor():
    maps = [torch.arange(2 * 4 * 1 * 2.).reshape(2, 4, 1, 2), 100 + torch.zeros(2, 4, 1, 1)]
    rows = flatten_levels(maps, 2)
    assert rows[:4].tolist() == [[0, 2], [4, 6], [1, 3], [5, 7]]
    assert rows[4].tolist() == [8, 10] and (rows[8:] == 100).all() and len(rows) == 12


def test_relu_is_seen_behind_blocks_only():
    reader = find_reader(head_of('gfl'), 'student')
    assert [reader.ends_in_relu(idx) for idx in range(5)] == [False, True, True, True, True]


def test_subclasses_of_a_known_head_are_read_alike():
    class MyHead(type(head_of('gfl'))):
        pass

    head = head_of('gfl')
    head.__class__ = MyHead
    assert type(find_reader(head, 'student')).__name__ == 'GFLReader'


def test_unknown_heads_are_refused():
    with pytest.raises(ConfigError, match="no reader knows the teacher's head Identity"):
        find_reader(nn.Identity(), 'teacher')
