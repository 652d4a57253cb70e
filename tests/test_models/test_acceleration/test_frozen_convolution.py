"""What stands for the convolutions of a frozen teacher."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmkd_sod.models.acceleration.frozen_convolution import (
    FrozenConvolution,
    frozen_convolutions,
    keeps_size,
    replace_forwards,
)


class Doubled(FrozenConvolution):
    """Gives twice the convolution, so that it can be told from it."""

    prepared = 0

    def prepare(self, weight, x):
        self.prepared += 1
        return 2 * weight

    def run(self, x, weight, bias=None):
        return F.conv2d(x, weight, bias, padding=self.conv.padding)


def conv(*channels, size=3, padding=1, **options):
    return nn.Conv2d(*(channels or (4, 3)), size, padding=padding, **options).requires_grad_(False)


@pytest.mark.parametrize(('module', 'wanted'), [
    (conv(), True), (conv(size=1, padding=0), True), (conv(size=(3, 1), padding=(1, 0)), True),
    (conv(padding=2, dilation=2), True), (conv(padding=0), False), (conv(stride=2), False),
    (conv(4, 4, groups=2), False), (conv(padding='same'), False),
    (conv(padding_mode='reflect'), False), (nn.ConvTranspose2d(4, 3, 3, padding=1), False),
    (nn.Linear(4, 3), False)])
def test_which_keep_the_size_of_the_map(module, wanted):
    assert keeps_size(module) is wanted


def test_parts_to_leave_are_left():
    first, second, third = conv(), conv(3, 3), conv(3, 3, stride=2)
    left = nn.Sequential(second)
    model = nn.Sequential(first, left, third)
    assert list(frozen_convolutions(model, [left])) == [first]
    assert list(frozen_convolutions(model, ())) == [first, second]


def test_gradients_reach_the_input_in_its_layout():
    layer = conv(bias=False)
    made = Doubled(layer)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 4, 6, 5).contiguous(memory_format=layout).requires_grad_()
        wanted, = torch.autograd.grad(2 * layer(x).square().sum(), x)
        found, = torch.autograd.grad((made.forward(x) * layer(x).detach()).sum() * 2, x)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5, check_stride=False)
        assert found.is_contiguous(memory_format=layout)
    assert made.prepared == 2  # once for each direction


def test_weights_are_prepared_anew_where_they_changed():
    layer, x = conv(), torch.randn(1, 4, 5, 5)
    made = Doubled(layer)
    made.forward(x), made.forward(x)
    assert made.prepared == 1
    layer.weight.mul_(3)
    wanted = F.conv2d(x, 2 * layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(made.forward(x), wanted)
    assert made.prepared == 2


def test_undone_one_by_one():
    layer, x = conv(), torch.randn(1, 4, 5, 5)
    wanted = layer(x)
    outer = replace_forwards([Doubled(layer)])
    doubled = layer(x)
    assert not torch.allclose(doubled, wanted)
    inner = replace_forwards([Doubled(layer)])
    inner()
    assert torch.equal(layer(x), doubled)
    outer()
    assert torch.equal(layer(x), wanted) and 'forward' not in vars(layer)


def test_other_types_and_autocast_run_as_before():
    layer = conv()
    made = Doubled(layer)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        x = torch.randn(1, 4, 5, 5)
        assert torch.equal(made.forward(x), layer(x))
    assert made.forward(x[:0]).shape == (0, 3, 5, 5)
    assert not made.prepared
