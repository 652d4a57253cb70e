"""Recorders read, and leave nothing behind."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import ForwardRecorder, MethodRecorder
from mmkd_sod.models.recorders import hooks_fire, recording


class Owner:
    def double(self, x):
        return 2 * x


def test_forward_recorder():
    net = nn.Sequential(nn.Flatten(), nn.ReLU())
    recorder = ForwardRecorder({'in': (net[1], 'input'), 'out': (net[1], 'output')})
    x = torch.tensor([[-1.0, 2.0]])
    with recorder as data:
        net(x)
        net(x + 1)
    assert [r.tolist() for r in data['in']] == [[[-1.0, 2.0]], [[0.0, 3.0]]]
    assert [r.tolist() for r in data['out']] == [[[0.0, 2.0]], [[0.0, 3.0]]]
    assert not net[1]._forward_hooks and not net[1]._forward_pre_hooks
    net(x)
    assert len(data['in']) == 2


def test_forward_recorder_keeps_only_what_reduce_gives():
    net = nn.Identity()
    with ForwardRecorder({'a': (net, 'output')}, reduce=torch.sum) as data:
        net(torch.ones(3))
    assert data['a'] == [3]


def test_a_new_step_starts_empty_and_errors_remove_hooks():
    net = nn.Identity()
    recorder = ForwardRecorder({'a': (net, 'output')})
    try:
        with recorder:
            net(1)
            raise KeyError
    except KeyError:
        pass
    assert not net._forward_hooks
    with recorder as data:
        net(2)
    assert data['a'] == [2]


def test_method_recorder_touches_one_object():
    one, other = Owner(), Owner()
    recorder = MethodRecorder(one, 'double')
    with recorder as data:
        assert one.double(3) == 6
        other.double(4)
    assert data == [6]
    one.double(5)
    assert data == [6] and 'double' not in vars(one)


def test_method_recorder_can_keep_arguments():
    one = Owner()
    with MethodRecorder(one, 'double', lambda args, result: (args, result)) as data:
        one.double(3)
    assert data == [((3,), 6)]


def test_method_recorders_nest():
    one = Owner()
    outer, inner = MethodRecorder(one, 'double'), MethodRecorder(one, 'double')
    with outer as both:
        with inner as first:
            one.double(1)
        one.double(2)
    assert both == [2, 4] and first == [2] and not vars(one)


def test_recording_opens_several_by_name():
    one, net = Owner(), nn.Identity()
    recorders = dict(
        double=MethodRecorder(one, 'double'), net=ForwardRecorder({'y': (net, 'output')})
    )
    with recording(recorders) as record:
        one.double(2)
        net(5)
    assert record == dict(double=[4], net=dict(y=[5]))
    assert not vars(one) and not net._forward_hooks


class TwoWays(torch.nn.Module):
    """Calls its head as a module or by its forward."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(2, 2)

    def forward(self, x, by_forward):
        return self.head.forward(x) if by_forward else self.head(x)


@pytest.mark.parametrize('by_forward', [True, False])
def test_hooks_fire_once_however_a_part_is_called(by_forward):
    model, seen = TwoWays(), []
    x = torch.ones(1, 2)
    wanted = model(x, by_forward)
    model.head.register_forward_hook(lambda *args: seen.append(args[2]))
    method = MethodRecorder(model.head, 'forward')
    with method as calls, hooks_fire(model):
        found = [model(x, by_forward) for _ in range(2)]
    assert len(seen) == len(calls) == 2
    assert all(torch.equal(out, wanted) for out in (*found, *seen, *calls))
    assert 'forward' not in vars(model.head) and len(model.head._forward_hooks) == 1
    model(x, True)
    assert len(seen) == 2  # as before


def test_hooks_fire_again_after_an_error():
    model, seen = TwoWays(), []
    model.head.register_forward_hook(lambda *args: seen.append(args[2]))
    with hooks_fire(model):
        with pytest.raises(RuntimeError):
            model(torch.ones(1, 3), True)
        model(torch.ones(1, 2), True)
    assert len(seen) == 1


class Checkpointed(nn.Module):
    """Runs a layer inside an activation checkpoint, as ``with_cp=True`` of mmdet's backbones."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return checkpoint(self.layer, x, use_reentrant=True)


@pytest.mark.parametrize('where', ['input', 'output'])
def test_inside_an_activation_checkpoint(where):
    net, x = Checkpointed(), torch.rand(3, 2, requires_grad=True)
    inside = ForwardRecorder({'feat': (net.layer, where)})
    with inside, pytest.raises(ConfigError, match=f"the {where} of 'feat' .Linear., which runs in"):
        net(x)
    with ForwardRecorder({'feat': (net, 'output')}) as data:
        net(x)
    assert data['feat'][0].requires_grad
    with torch.no_grad(), inside as data:  # as a teacher runs
        net(x)
    assert len(data['feat']) == 1
