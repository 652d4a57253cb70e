"""One model on several sets of operators."""

import sys
import types

import torch
from mmcv.ops import nms
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope

from mmkd_sod.testing.operators import Step, operators_of, plain_extension, run_step
from mmkd_sod.testing.small_detectors import random_batch, small_detector


def test_operators_are_swapped_and_put_back():
    before = sys.modules['mmcv.ops.nms'].ext_module
    seen = types.ModuleType('fake')
    seen.nms = lambda boxes, scores, **options: torch.tensor([1])
    with operators_of(seen) as called:
        kept = nms(torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 2]]), torch.tensor([0.1, 0.2]), 0.5)[1]
    assert kept.tolist() == [1] and called == {'nms'}
    assert sys.modules['mmcv.ops.nms'].ext_module is before


def test_a_step_leaves_the_model_and_repeats():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    cfg = ConfigDict(small_detector('GFLHead'))
    cfg.test_cfg.update(score_thr=0.0, max_per_img=10)
    model = MODELS.build(cfg)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    first, again = (run_step(model, random_batch(), plain_extension()) for _ in range(2))
    assert first.differences(again) == (0.0, 0.0, 0.0)
    assert first.operators == {'nms'} and first.gradient.norm() > 0 and first.losses
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


def test_differences_are_relative_and_other_counts_are_infinite():
    one = Step(
        {'loss': torch.tensor(2.0)}, torch.tensor([3.0, 4.0]), [torch.tensor([10.0, 0.0])], set()
    )
    two = Step(
        {'loss': torch.tensor(1.0)}, torch.tensor([3.0, 3.0]), [torch.tensor([9.0, 0.0])], set()
    )
    assert torch.allclose(torch.tensor(one.differences(two)), torch.tensor([0.5, 0.2, 0.1]))
    two.outputs = [torch.zeros(3)]
    assert one.differences(two)[2] == float('inf')
