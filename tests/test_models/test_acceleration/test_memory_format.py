"""Backbone and neck in channels_last, with plain maps outside."""

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_sod.models.acceleration.memory_format import (
    deformable_convolutions,
    feature_extractors,
    hooks_inside,
    lay_out,
    to_contiguous,
)
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.teachers import FrozenTeacher
from mmkd_sod.testing.small_detectors import small_detector
from mmkd_sod.utils.tensors import flat
from tests.detection import detector

LAST = torch.channels_last


def gfl():
    init_default_scope('mmdet')
    module = build_model(detector(width=8))
    module.init_weights()
    return module.eval().requires_grad_(False)


def is_last(conv):
    return conv.weight.is_contiguous(memory_format=LAST) and not conv.weight.is_contiguous()


def seen(module, store, key):
    module.register_forward_hook(lambda _, args, out: store.update({key: (args, out)}))


@torch.no_grad()
def test_inside_channels_last_outside_plain():
    module = gfl()
    image = torch.rand(2, 3, 256, 256)
    wanted = module(image, mode='tensor')
    undo = lay_out(module, lambda: module(image, mode='tensor'))
    store = {}
    for name in ('backbone', 'neck', 'bbox_head'):
        seen(getattr(module, name), store, name)
    for name in ('layer1', 'layer3', 'layer4'):
        seen(getattr(module.backbone, name), store, name)
    found = module(image, mode='tensor')
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert is_last(module.backbone.conv1) and is_last(module.backbone.layer3[0].conv2)
    # At a 32nd of the image the weights weigh more than the maps.
    assert not is_last(module.backbone.layer4[0].conv2)
    assert store['layer3'][1].is_contiguous(memory_format=LAST)
    assert store['layer4'][0][0].is_contiguous() and store['layer4'][1].is_contiguous()
    assert all(x.is_contiguous() for x in flat(store['neck'][1]))
    undo()
    assert not any(is_last(m) for m in module.modules() if isinstance(m, nn.Conv2d))
    assert not module.backbone._forward_pre_hooks
    assert hooks_inside(module.backbone) == 3  # those above
    assert all(
        torch.equal(a, b)
        for a, b in zip(flat(module(image, mode='tensor')), flat(wanted), strict=True)
    )


@torch.no_grad()
def test_what_a_recorder_reads_is_plain():
    module = gfl()
    image = torch.rand(1, 3, 256, 256)
    store = {}
    seen(module.backbone, store, 'backbone')
    lay_out(module, lambda: module(image, mode='tensor'))
    store.clear()
    module(image, mode='tensor')
    assert all(x.is_contiguous() for x in flat(store['backbone'][1]))


@torch.no_grad()
def test_a_part_that_is_read_inside_is_left_alone():
    module = gfl()
    image = torch.rand(1, 3, 256, 256)
    module.backbone.layer2.register_forward_hook(lambda *_: None)
    lay_out(module, lambda: module(image, mode='tensor'))
    assert not any(is_last(m) for m in module.backbone.modules() if isinstance(m, nn.Conv2d))
    assert is_last(module.neck.fpn_convs[0].conv)


def test_a_failing_trial_leaves_nothing():
    module = gfl()

    def fail():
        raise RuntimeError('no')

    with pytest.raises(RuntimeError):
        lay_out(module, fail)
    assert not hooks_inside(module)


@torch.no_grad()
def test_by_default_on_a_cpu():
    for option, expected in ((None, True), (False, False)):
        teacher = FrozenTeacher(gfl(), trusted=True, channels_last=option)
        teacher.tune()
        assert is_last(teacher.module.backbone.conv1) == expected
        assert not is_last(teacher.module.bbox_head.cls_convs[0].conv)


def test_not_with_deformable_convolutions():
    init_default_scope('mmdet')
    teacher = FrozenTeacher(build_model(small_detector('VFNetHead')), trusted=True)
    teacher.tune()
    assert not hooks_inside(teacher.module)


class Sheared(nn.Module):
    """A backbone that counts on its maps' layout in memory, as ``view`` does."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x)
        return x.view(x.shape[0], -1, 1, 1)


def test_undone_where_the_teacher_cannot():
    module = gfl()
    module.backbone, module.neck = Sheared(), None
    module.forward = lambda x, samples=None, mode='tensor': module.backbone(x)
    teacher = FrozenTeacher(module, trusted=True)
    image = torch.rand(1, 3, 32, 32)
    wanted = teacher(image)
    teacher.tune()
    assert not hooks_inside(module) and not is_last(module.backbone.conv)
    assert torch.equal(teacher(image), wanted)


def test_a_network_without_parts_is_left_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    lay_out(network, lambda: None)()
    assert not is_last(network[0]) and not hooks_inside(network)


def test_feature_extractors():
    module = gfl()
    assert feature_extractors(module) == [module.backbone, module.neck]
    assert feature_extractors(nn.Linear(1, 1)) == []


def test_deformable_convolutions_are_found_by_name():
    init_default_scope('mmdet')
    assert deformable_convolutions(gfl()) == []
    found = deformable_convolutions(build_model(small_detector('VFNetHead')))
    assert found and all(name.startswith('bbox_head') for name in found)


@pytest.mark.parametrize(
    'shape', [(2, 64, 8, 10), (1, 3, 1, 1), (2, 1, 5, 7), (0, 3, 4, 4), (3, 4), (2, 70, 61, 1)]
)
@pytest.mark.parametrize('kind', [torch.float32, torch.bfloat16, torch.int64])
def test_contiguous(shape, kind):
    x = torch.randn(shape).mul(9).to(kind)
    last = x.contiguous(memory_format=LAST) if x.dim() == 4 else x.T.contiguous().T
    for value in (x, last, x[..., ::2]):
        found = to_contiguous(value)
        assert found.is_contiguous() and torch.equal(found, value)


def test_contiguous_passes_gradient():
    x = torch.randn(2, 3, 4, 4).contiguous(memory_format=LAST).requires_grad_()
    to_contiguous(x * 2).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 2))
