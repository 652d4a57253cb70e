"""The fake device: a GPU's rules and costs on values of the CPU."""

import copy

import pytest
import torch
import torch.distributed as dist
from mmengine.dist import all_reduce, get_world_size
from torch import nn

from mmkd_sod.testing.fake_device import DEVICE, DeviceError, DeviceTensor, FakeDevice


@pytest.fixture
def device():
    with FakeDevice() as found:
        yield found


def on_device(*shape):
    return torch.rand(*shape).to('cuda')


def test_values_and_gradients_are_those_of_the_cpu():
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    image = torch.rand(2, 3, 8, 8)
    twin = copy.deepcopy(layers)
    wanted = layers(image)
    wanted.square().sum().backward()
    with FakeDevice():
        found = twin.to('cuda')(image.cuda())
        found.square().sum().backward()
        assert found.device == DEVICE and found.is_cuda and not found.is_cpu
        assert torch.equal(found.cpu(), wanted)
        for mine, other in zip(twin.parameters(), layers.parameters(), strict=True):
            assert isinstance(mine, nn.Parameter) and isinstance(mine.grad, DeviceTensor)
            assert torch.equal(mine.grad.cpu(), other.grad)
        assert torch.equal(twin[1].running_mean.cpu(), layers[1].running_mean)
        optimizer = torch.optim.SGD(twin.parameters(), 0.1)
        optimizer.step()
        kept = copy.deepcopy(twin)
        assert torch.equal(kept[0].weight.cpu(), twin[0].weight.cpu())
    optimizer = torch.optim.SGD(layers.parameters(), 0.1)
    optimizer.step()
    assert torch.equal(kept[0].weight.held, layers[0].weight)


READS = dict(
    item=lambda x: x.sum().item(),
    float=lambda x: float(x.sum()),
    condition=lambda x: bool(x.sum() > 0),
    tolist=lambda x: x.tolist(),
    to_the_host=lambda x: x.cpu(),
    nonzero=lambda x: x.nonzero(),
    mask=lambda x: x[x > 0.5],
    filled_mask=lambda x: x.index_put_((x > -1,), x.clone()),
    where=lambda x: torch.where(x > 0.5),
    unique=lambda x: x.unique(),
    equal=lambda x: torch.equal(x, x),
    rows=lambda x: x[[0, 1]],
    numbers=lambda x: x.new_tensor([1.0, 2.0]),
    tensor=lambda x: torch.tensor(1.0, device=x.device),
    as_tensor=lambda x: torch.as_tensor(3, device='cuda'),
    upload=lambda x: torch.rand(3).to(x.device),
    repeats=lambda x: torch.repeat_interleave((x > 0.5).long()),
)


@pytest.mark.parametrize('name', READS)
def test_what_synchronises(device, name):
    x = on_device(5)
    device.forget()
    READS[name](x)
    assert device.syncs and device.places.total() == device.syncs.total()
    assert all('test_fake_device' in place for place in device.places)


FREE = dict(
    arithmetic=lambda x: (x * 2 + 1).softmax(0),
    masked_fill=lambda x: x.masked_fill(x > 0.5, 0),
    scalar_into_mask=lambda x: x.__setitem__(x > 0.5, 0.0),
    where=lambda x: torch.where(x > 0.5, x, 0.0),
    new=lambda x: (x.new_zeros(3), torch.zeros(3, device=x.device), x.new_full((), 2.0)),
    slices=lambda x: x[1:3].view(2, 1),
    row=lambda x: x[0],
    index=lambda x: x[torch.arange(2, device=x.device)],
    scalar_of_the_host=lambda x: x * torch.tensor(2.0),
    repeats=lambda x: x.repeat_interleave(4),
    pinned=lambda x: torch.rand(3).pin_memory().to(x.device, non_blocking=True),
)


@pytest.mark.parametrize('name', FREE)
def test_what_does_not(device, name):
    x = on_device(5)
    device.forget()
    FREE[name](x)
    assert not device.syncs


def test_tensors_of_the_host_are_refused(device):
    with pytest.raises(DeviceError, match='all must be on one device'):
        on_device(3) + torch.rand(3)
    with pytest.raises(DeviceError):
        torch.rand(3)[on_device(3) > 0.5]


def test_strict():
    with FakeDevice(strict=False):
        x = on_device(3)
    with FakeDevice(strict=True), pytest.raises(DeviceError, match='_local_scalar_dense'):
        x.sum().item()
    with pytest.raises(DeviceError, match='outside'):
        x.sum()


def test_kernels_without_views(device):
    x = on_device(2, 6)
    device.forget()
    (x.view(3, 4).t()[1] + 1).relu()
    assert device.kernels == {'aten::add': 1, 'aten::relu': 1}


def test_ranks():
    with FakeDevice(ranks=4) as device:
        assert get_world_size() == 4 and dist.is_initialized()
        x = on_device(3)
        parts = [torch.empty_like(x) for _ in range(4)]
        dist.all_gather(parts, x)
        total = x.clone()
        all_reduce(total, 'mean')
        assert torch.equal(torch.stack(parts).mean(0).cpu(), x.cpu())
        assert torch.allclose(total.cpu(), x.cpu())
        assert device.collectives == dict(all_gather=1, all_reduce=1)
    assert get_world_size() == 1
