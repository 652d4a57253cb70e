"""Backbone and neck of a teacher in half precision."""

import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.teachers.half_weights import halve_extractors
from tests.detection import build_distill, losses_of
from tests.methods import build
from tests.test_precision import batch_of


def test_losses_stay_near():
    results = []
    for dtype in (None, 'bfloat16'):
        torch.manual_seed(0)
        results.append(losses_of(build_distill(teacher_dtype=dtype)))
    wanted, found = results
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        if 'loss' in name:
            near = sum(value) if isinstance(value, list) else value
            exact = sum(wanted[name]) if isinstance(value, list) else wanted[name]
            assert near.dtype == torch.float32
            torch.testing.assert_close(near, exact, rtol=0.05, atol=1e-3)


@pytest.mark.parametrize('method', ['cskd_learned', 'hkd', 'weak_label'])
def test_every_method(method):
    model = build(method, teacher_dtype='bfloat16')
    model.init_weights()
    for module in model.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    for _ in range(2):  # the second finds it halved
        data = model.data_preprocessor(batch_of(method, 0), training=True)
        total, _ = model.parse_losses(model(**data, mode='loss'))
    assert total.isfinite()
    kinds = {p.dtype for p in model.teacher.backbone.parameters()}
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in model.teacher.decode_head.parameters()} == {torch.float32}


def test_refusals():
    with pytest.raises(ConfigError, match="teacher_dtype='int8'"):
        build_distill(teacher_dtype='int8')
    with pytest.raises(ConfigError, match='teacher_compile=True; choose'):
        build_distill(teacher_dtype='float16', teacher_compile=True)
    with pytest.raises(ConfigError, match='Sequential has neither backbone nor neck'):
        halve_extractors(nn.Sequential(), torch.bfloat16)
