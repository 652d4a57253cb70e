"""Convolutions with weights laid out once."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkd_sod.models.acceleration import packed_convolution as module_under_test
from mmkd_sod.models.acceleration.packed_convolution import (
    PackedConvolution,
    pack_shared_convolutions,
)
from mmkd_sod.models.teachers import FrozenTeacher
from tests.detection import build_distill, losses_of
from tests.test_models.test_acceleration.test_memory_format import gfl


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(module_under_test, '_MIN_WEIGHTS', 1)


def conv(channels=8, out=5, size=3, **options):
    options.setdefault('padding', size // 2)
    return nn.Conv2d(channels, out, size, **options).requires_grad_(False)


def packed(module):
    return [name for name, part in module.named_modules() if 'forward' in vars(part)]


@pytest.mark.parametrize('options', [
    dict(), dict(bias=False), dict(size=1), dict(size=5), dict(padding=2, dilation=2)])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_equals_the_direct_convolution(options, layout):
    layer = conv(**options)
    made = PackedConvolution(layer)
    for size in ((12, 10), (3, 4), (1, 1)):  # of other sizes than the first one too
        x = torch.randn(2, 8, *size).contiguous(memory_format=layout).requires_grad_()
        wanted = layer(x)
        weight = torch.randn_like(wanted)
        gradient, = torch.autograd.grad((wanted * weight).sum(), x)
        found = made.forward(x)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5, check_stride=False)
        back, = torch.autograd.grad((found * weight).sum(), x)
        torch.testing.assert_close(back, gradient, rtol=1e-5, atol=1e-5, check_stride=False)
        assert back.is_contiguous(memory_format=layout)


def test_follows_weights_that_are_changed():
    layer, x = conv(), torch.randn(1, 8, 6, 6)
    made = PackedConvolution(layer)
    made.forward(x)
    layer.weight.mul_(2)
    torch.testing.assert_close(made.forward(x), layer(x), check_stride=False)
    layer.weight.data = torch.randn_like(layer.weight)
    torch.testing.assert_close(made.forward(x), layer(x), check_stride=False)


def test_what_it_is_not_made_for_runs_as_before(monkeypatch):
    monkeypatch.setattr(PackedConvolution, 'run', None)
    layer = conv()
    made = PackedConvolution(layer)
    x = torch.randn(2, 8, 6, 6)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert made.forward(x).dtype == torch.bfloat16
    assert made.forward(x[:0]).shape == (0, 5, 6, 6)
    layer.double()
    assert torch.equal(made.forward(x.double()), layer(x.double()))


def test_those_that_run_several_times_alone():
    class Head(nn.Module):

        def __init__(self):
            super().__init__()
            self.shared, self.once, self.left = conv(), conv(5, 5), conv(5, 5)
            self.strided = conv(5, 5, stride=2)

        def forward(self, x):
            x = self.once(self.shared(x) + self.shared(x.flip(3)))
            return self.strided(self.strided(self.left(self.left(x))))

    head, x = Head(), torch.randn(1, 8, 8, 8)
    wanted = head(x)
    undo = pack_shared_convolutions(head, lambda: head(x), leave=[head.left])
    assert packed(head) == ['shared']
    assert not any(module._forward_pre_hooks for module in head.modules())
    torch.testing.assert_close(head(x), wanted, rtol=1e-5, atol=1e-5)
    undo()
    assert not packed(head)
    assert torch.equal(head(x), wanted)


def loaded(module, any_layout=True, **options):
    teacher = FrozenTeacher(module, trusted=True, **options)
    teacher.any_layout = any_layout
    teacher.load()
    return teacher


@torch.no_grad()
def test_a_detectors_head():
    image, module = torch.rand(2, 3, 96, 128), gfl()
    wanted = module(image, mode='tensor')
    teacher = loaded(module)
    taken = packed(module)
    assert taken and all(name.startswith('bbox_head.') for name in taken)
    torch.testing.assert_close(teacher(image), wanted, rtol=1e-4, atol=1e-4, check_stride=False)
    for options in (dict(channels_last=False), dict(any_layout=False)):
        module = gfl()
        loaded(module, **options)
        assert not packed(module)


def test_where_the_distiller_does_not_mind():
    cwd = dict(
        type='mmrazor.ConfigurableDistiller',
        distill_losses=dict(loss_kd=dict(type='mmrazor.ChannelWiseDivergence')),
        loss_forward_mappings=dict(loss_kd={
            name: dict(recorder='logits', from_student=student)
            for name, student in (('preds_S', True), ('preds_T', False))}),
        **{f'{who}_recorders': dict(logits=dict(type='mmrazor.ModuleOutputs',
                                                source='bbox_head.gfl_cls'))
           for who in ('student', 'teacher')})
    for distiller, kept in ((None, True), (cwd, False)):
        model = build_distill(**({} if distiller is None else dict(distiller=distiller)))
        losses = losses_of(model)
        assert any('distill.' in name for name in losses)
        assert bool(packed(model.teacher)) is kept


@torch.no_grad()
def test_not_kept_where_the_answers_move_or_the_library_fails(monkeypatch):
    def wrong(self, x, weight, bias=None):
        return F.conv2d(x, self.conv.weight * 1.01, bias, padding=self.conv.padding)

    def fails(self, weight, x):
        raise RuntimeError('no such kernel')

    for name, broken in (('run', wrong), ('prepare', fails)):
        with monkeypatch.context() as patch:
            patch.setattr(PackedConvolution, name, broken)
            module = gfl()
            loaded(module)
            assert not packed(module)
