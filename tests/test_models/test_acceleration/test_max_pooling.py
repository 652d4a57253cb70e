"""A stem's max-pooling by rows and columns."""
import copy
import math

import pytest
import torch
from torch import nn

from mmkd_sod.models.acceleration import max_pooling
from mmkd_sod.models.acceleration.max_pooling import RowColumnMaxPool2d, pool_by_rows_and_columns
from tests.detection import build_distill

STEM = dict(kernel_size=3, stride=2, padding=1)


@pytest.fixture
def ran(monkeypatch):
    """How often the fast way was taken, twice a map."""
    calls = []
    fast = max_pooling._pairs
    monkeypatch.setattr(max_pooling, '_pairs', lambda *args: calls.append(1) or fast(*args))
    return calls


@pytest.mark.parametrize('size', [(8, 8), (7, 9), (1, 1), (1, 6), (2, 1), (33, 20), (3, 3)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_bit_for_bit(ran, size, dtype):
    x = torch.randn(2, 3, *size).to(dtype)
    found = RowColumnMaxPool2d(**STEM)(x)
    assert len(ran) == 2
    assert torch.equal(found, nn.MaxPool2d(**STEM)(x))
    assert found.is_contiguous() and found.dtype == dtype


def test_nan_and_infinity_pass_as_they_do():
    x = torch.randn(1, 1, 9, 9)
    x[0, 0, 4, 4], x[0, 0, 0, 8], x[0, 0, 8] = math.nan, math.inf, -math.inf
    torch.testing.assert_close(RowColumnMaxPool2d(**STEM)(x), nn.MaxPool2d(**STEM)(x),
                               rtol=0, atol=0, equal_nan=True)


def test_everything_else_is_torchs(ran):
    pool, x = RowColumnMaxPool2d(**STEM), torch.randn(2, 3, 8, 8)
    wanted = nn.MaxPool2d(**STEM)(x)
    learned = x.clone().requires_grad_()
    pool(learned).sum().backward()
    assert learned.grad.any()
    for each in (x[0], x.to(memory_format=torch.channels_last)):
        assert torch.equal(pool(each), wanted[0] if each.dim() == 3 else wanted)
    pool.eval()
    assert torch.equal(pool(x), wanted)
    assert not ran
    with torch.no_grad():
        assert torch.equal(pool.train()(learned), wanted)
    assert len(ran) == 2


def test_stems_alone_and_unread_ones_are_replaced():
    read = nn.MaxPool2d(**STEM)
    read.register_forward_hook(lambda *_: None)
    others = [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.MaxPool2d(3, 2, 0), read]
    stem, sleeping = nn.MaxPool2d(**STEM), nn.MaxPool2d((3, 3), (2, 2), (1, 1)).eval()
    model = nn.Sequential(*others, stem, nn.Sequential(sleeping))
    pool_by_rows_and_columns(model)
    kinds = [type(module) for module in model.modules() if isinstance(module, nn.MaxPool2d)]
    assert kinds == [nn.MaxPool2d] * 4 + [RowColumnMaxPool2d] * 2
    assert model[4].training and not model[5][0].training


def test_a_student_trains_as_before(ran):
    model = build_distill()
    assert type(model.student.backbone.maxpool) is RowColumnMaxPool2d
    image = torch.rand(2, 3, 96, 128)
    student = copy.deepcopy(model.student).train()
    stem = student.backbone
    for module in (stem.conv1, stem.norm1):
        module.requires_grad_(False)
    found = student(image, None, mode='tensor')
    assert ran
    stem.maxpool = nn.MaxPool2d(**STEM)
    again = student(image, None, mode='tensor')
    for maps, wanted in zip(found, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(maps, wanted, strict=True))
