"""3x3 convolutions by Winograd's algorithm."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkd_sod.models.acceleration import winograd as module_under_test
from mmkd_sod.models.acceleration.parity import TOLERANCE
from mmkd_sod.models.acceleration.winograd import Winograd, transform_weights, use_winograd
from mmkd_sod.models.teachers import FrozenTeacher
from tests.test_models.test_acceleration.test_memory_format import gfl

PLAIN = module_under_test._transform_inputs, module_under_test._transform_outputs


def conv(channels=6, out=5, bias=True, **options):
    return nn.Conv2d(channels, out, 3, padding=1, bias=bias, **options).requires_grad_(False)


@pytest.fixture
def eager(monkeypatch):
    """No compiler, and no convolution too small."""
    monkeypatch.setattr(module_under_test.torch, 'compile', lambda forward, **_: forward)
    for name in ('_MIN_CHANNELS', '_MIN_PRODUCT', '_MIN_PIXELS'):
        monkeypatch.setattr(module_under_test, name, 1)


def test_transforms_are_exact_in_the_mathematics():
    # In float64 nothing is left of the difference: y = A^T ((G g) * (B^T d)) is a correlation.
    outputs, weights, inputs = (
        torch.tensor(rows, dtype=torch.float64)
        for rows in (
            module_under_test._OUTPUTS,
            module_under_test._WEIGHTS,
            module_under_test._INPUTS,
        )
    )
    taps, line = torch.randn(3).double(), torch.randn(6).double()
    found = outputs @ ((weights @ taps) * (inputs @ line))
    wanted = F.conv1d(line.view(1, 1, -1), taps.view(1, 1, -1)).flatten()
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('size', [(8, 8), (5, 7), (4, 13), (1, 1), (9, 2)])
@pytest.mark.parametrize('bias', [False, True])
def test_equals_the_direct_convolution(eager, size, bias):
    layer = conv(bias=bias).double()
    x = torch.randn(2, 6, *size).double().requires_grad_()
    wanted = layer(x)
    weight = torch.randn_like(wanted)
    (gradient,) = torch.autograd.grad((wanted * weight).sum(), x)
    found = Winograd(layer, PLAIN).forward(x)
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-9, atol=1e-9)
    (back,) = torch.autograd.grad((found * weight).sum(), x)
    torch.testing.assert_close(back, gradient, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_rounding_stays_far_below_the_tolerance():
    layer, x = conv(256, 64, bias=False), torch.randn(1, 256, 24, 24).relu()
    nn.init.kaiming_normal_(layer.weight)
    wanted = F.conv2d(x.double(), layer.weight.double(), padding=1)
    found = Winograd(layer, PLAIN).convolve(x)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < TOLERANCE / 10


@torch.no_grad()
def test_outputs_have_the_memory_format_of_the_input(eager):
    layer, x = conv(), torch.randn(2, 6, 8, 8)
    wanted = layer(x)
    use_winograd(nn.Sequential(layer))
    for layout in (torch.contiguous_format, torch.channels_last):
        found = layer(x.contiguous(memory_format=layout))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4, check_stride=False)
        assert found.is_contiguous(memory_format=layout)


@torch.no_grad()
def test_what_it_is_not_made_for_stays(eager):
    others = [
        conv(stride=2),
        conv(6, 6, groups=2),
        conv(padding_mode='reflect'),
        nn.Conv2d(6, 5, 1),
        nn.Conv2d(6, 5, 3, padding=0),
        nn.Conv2d(6, 5, 3, padding=2, dilation=2),
        nn.ConvTranspose2d(6, 5, 3, padding=1),
    ]
    left, taken = conv(), conv()
    undo = use_winograd(nn.ModuleList([*others, left, taken]), skip=[left])
    assert [module for module in (*others, left, taken) if 'forward' in vars(module)] == [taken]
    undo()
    assert 'forward' not in vars(taken)


@torch.no_grad()
def test_narrow_convolutions_and_small_maps_stay(monkeypatch):
    monkeypatch.setattr(module_under_test.torch, 'compile', lambda forward, **_: forward)
    wide, narrow = conv(128, 64), conv(64, 64)
    use_winograd(nn.ModuleList([wide, narrow]))
    assert 'forward' in vars(wide) and 'forward' not in vars(narrow)
    ran = []
    monkeypatch.setattr(Winograd, 'convolve', lambda self, x, *_: ran.append(1) or x[:, :64])
    small, large = torch.rand(1, 128, 8, 8), torch.rand(2, 128, 20, 20)
    assert torch.equal(wide(small), F.conv2d(small, wide.weight, wide.bias, padding=1))
    assert not ran
    wide(large)
    assert ran
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert wide(large).dtype == torch.bfloat16
    assert len(ran) == 1


def tuned(module):
    teacher = FrozenTeacher(module, trusted=True, compile=True, channels_last=False)
    teacher.tune()
    return teacher


def test_a_detectors_head_alone(eager):
    image = torch.rand(2, 3, 96, 128)
    module = gfl()
    wanted = FrozenTeacher(module, trusted=True)(image)
    teacher = tuned(module)
    taken = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Conv2d) and 'forward' in vars(part)
    ]
    assert taken and all(name.startswith('bbox_head.') for name in taken)
    torch.testing.assert_close(teacher(image), wanted, rtol=1e-4, atol=1e-4)


def test_undone_where_the_outputs_move(eager, monkeypatch):
    monkeypatch.setattr(
        module_under_test, 'transform_weights', lambda weight: transform_weights(weight) * 1.01
    )
    module = gfl()
    tuned(module)
    assert not any(
        isinstance(part, nn.Conv2d) and 'forward' in vars(part) for part in module.modules()
    )


def test_weights_are_transformed_anew_where_they_changed(eager):
    layer, x = conv(bias=False), torch.randn(1, 6, 5, 5)
    made = Winograd(layer, PLAIN)
    wanted = made.forward(x)
    layer.weight.mul_(3)
    torch.testing.assert_close(made.forward(x), 3 * wanted)


def test_undone_one_by_one(eager):
    layer = conv()
    outer = use_winograd(layer)
    forward = layer.forward
    inner = use_winograd(layer)
    assert layer.forward != forward
    inner()
    assert layer.forward == forward
    outer()
    assert 'forward' not in vars(layer)


@pytest.mark.slow
@torch.no_grad()
def test_compiled():
    layer = conv(128, 64)
    use_winograd(nn.Sequential(layer))
    for size in ((24, 28), (30, 21)):
        x = torch.randn(1, 128, *size)
        wanted = F.conv2d(x, layer.weight, layer.bias, padding=1)
        torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-4)
