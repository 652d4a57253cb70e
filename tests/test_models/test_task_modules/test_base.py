"""Head readers: the tail of the published heads, the order of rows, joint logits."""

import pytest
import torch
from mmengine.registry import init_default_scope

from mmkd_sod.models.builder import build_model
from mmkd_sod.models.distillers import ForwardRecorder
from mmkd_sod.models.task_modules import (
    DensePredictions,
    find_reader,
    flatten_levels,
    joint_logits,
    level_rows,
    prior_rows,
)
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
        with ForwardRecorder(reader.tower_sources(idx)) as kept:
            wanted = head(feats)
        data = reader.collect(kept)
    found = reader.run_tail(data, idx)
    for ours, theirs in zip(found, wanted, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert all(getattr(head, tower) is blocks for tower, blocks in towers.items())


def test_towers_are_restored_after_an_error():
    head = head_of('gfl')
    reader = find_reader(head, 'student')
    blocks = head.cls_convs
    with pytest.raises((RuntimeError, StopIteration)):
        reader.run_tail(dict.fromkeys(reader.towers, [torch.zeros(1, 5, 2, 2)] * 5), 1)
    assert head.cls_convs is blocks


def test_rows_follow_level_image_row_column_anchor():
    maps = [torch.arange(2 * 4 * 1 * 2.0).reshape(2, 4, 1, 2), 100 + torch.zeros(2, 4, 1, 1)]
    rows = flatten_levels(maps, 2)
    assert rows[:4].tolist() == [[0, 2], [4, 6], [1, 3], [5, 7]]
    assert rows[4].tolist() == [8, 10] and (rows[8:] == 100).all() and len(rows) == 12


def test_relu_is_detected_after_blocks_only():
    reader = find_reader(head_of('gfl'), 'student')
    assert [reader.ends_in_relu(idx) for idx in range(5)] == [False, True, True, True, True]


def predictions(levels, images):
    rows = images * sum(h * w for h, w in levels)
    return DensePredictions(torch.zeros(rows, 2), torch.zeros(rows, 4), None, levels)


def test_targets_of_images_become_rows_of_levels():
    images = [torch.arange(5), 10 + torch.arange(5)]
    rows = level_rows(images, predictions([(2, 2), (1, 1)], 2))
    assert rows.tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 4, 14]


def test_priors_repeat_for_each_image_of_a_level():
    from mmdet.models.task_modules.prior_generators import MlvlPointGenerator

    rows = prior_rows(MlvlPointGenerator([4, 8], offset=0), predictions([(1, 2), (1, 1)], 2))
    assert rows.tolist() == [[0, 0], [4, 0], [0, 0], [4, 0], [0, 0], [0, 0]]


def test_joint_logits_are_those_of_the_product():
    first, second = torch.randn(100).double() * 4, torch.randn(100).double() * 4
    wanted = torch.logit(first.sigmoid() * second.sigmoid())
    torch.testing.assert_close(joint_logits(first, second).double(), wanted, rtol=1e-3, atol=1e-4)
    extreme = torch.tensor([-100.0, 0.0, 100.0], requires_grad=True)
    out = joint_logits(extreme, torch.tensor([100.0] * 3))
    assert torch.isfinite(out).all() and out[0].item() == pytest.approx(-100)
    assert out[1].item() == pytest.approx(0, abs=1e-5) and out[2] > 10
    out.sum().backward()
    assert torch.isfinite(extreme.grad).all()
