"""FrozenTeacher: frozen, prediction only, with the accelerations that are there."""

import sys

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.teachers import FrozenTeacher
from mmkd_sod.models.teachers import frozen_teacher as module_under_test
from mmkd_sod.testing.fake_device import FakeDevice
from mmkd_sod.utils.tensors import flat
from tests.detection import detector
from tests.hidden_modules import HiddenModules
from tests.toy import Toy, norms


def test_sync_bn_becomes_bn():
    toy = Toy()
    toy.bn1 = nn.SyncBatchNorm(3)
    teacher = FrozenTeacher(toy, trusted=True)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in teacher.module.modules())


def test_no_gradient_and_no_dropout():
    teacher = FrozenTeacher(Toy(), trusted=True)
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    first, second = teacher(image), teacher(image)
    assert not first.requires_grad
    assert torch.equal(first, second)


def test_a_random_teacher_is_refused():
    with pytest.raises(CheckpointError, match='teacher_ckpt is None'):
        FrozenTeacher(Toy()).load()
    FrozenTeacher(Toy(), allow_missing=['*']).load()


def test_autocast():
    image = torch.rand(2, 3, 16, 16)
    toy = Toy()
    wanted = FrozenTeacher(toy, trusted=True)(image)
    found = FrozenTeacher(toy, trusted=True, autocast='bf16')(image)
    assert not torch.equal(found.float(), wanted)
    torch.testing.assert_close(found.float(), wanted, rtol=0, atol=0.1)


def test_loading_leaves_the_network_alone():
    teacher = FrozenTeacher(toy := Toy(), trusted=True)
    teacher.load()
    assert norms(toy) == 2  # nothing is known yet of the device where it will run
    teacher.tune()
    assert norms(toy) == 0
    assert not any(p.requires_grad for p in toy.parameters())


def test_exact_switches_every_acceleration_off():
    init_default_scope('mmdet')
    module = build_model(detector(width=8))
    module.init_weights()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = module.eval()(image, mode='tensor')
    norms_before = norms(module)
    teacher = FrozenTeacher(
        module, trusted=True, channels_last=True, autocast='bf16', compile=True, exact=True
    )
    teacher.load()
    teacher.tune()
    assert norms(module) == norms_before > 0
    assert all(torch.equal(a, b) for a, b in zip(flat(teacher(image)), flat(wanted), strict=True))


@pytest.fixture
def hide(monkeypatch):
    def hide(*names):
        for name in [n for n in sys.modules if n.startswith('mmkd_sod.models.acceleration')]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, 'meta_path', [HiddenModules(*names), *sys.meta_path])

    return hide


@pytest.mark.parametrize(
    'name', ['mmkd_sod.models.acceleration', 'mmkd_sod.models.acceleration.accelerator']
)
def test_without_the_folder(hide, monkeypatch, name):
    hide(name)
    said = []
    monkeypatch.setattr(module_under_test, 'print_log', lambda text, **_: said.append(text))
    module_under_test._log_slow.cache_clear()
    image = torch.rand(1, 3, 16, 16)
    toy = Toy().eval()
    wanted = toy(image)
    for _ in range(2):
        teacher = FrozenTeacher(toy, trusted=True)
        teacher.load()
        teacher.tune()
    assert torch.equal(teacher(image), wanted) and norms(toy) == 2
    assert len(said) == 1 and 'mmkd_sod.models.acceleration is missing' in said[0]


@pytest.mark.parametrize('option', ['fold_bn', 'channels_last', 'compile'])
def test_an_option_without_the_folder_is_refused(hide, option):
    hide('mmkd_sod.models.acceleration')
    with pytest.raises(ConfigError, match=f'teacher_{option}=True, but .* is missing; leave'):
        FrozenTeacher(Toy(), trusted=True, **{option: True})
    FrozenTeacher(Toy(), trusted=True, **{option: False})


def test_a_broken_folder_is_not_taken_for_a_missing_one(hide):
    hide('mmkd_sod.models.acceleration.parity')
    with pytest.raises(ModuleNotFoundError, match='acceleration.parity'):
        FrozenTeacher(Toy(), trusted=True)


def test_follows_the_batch():
    teacher = FrozenTeacher(Toy(), trusted=True)
    with FakeDevice() as device:
        image = torch.rand(1, 3, 16, 16).to('cuda')
        teacher.follow(image.device)
        assert all(x.device == image.device for x in teacher.module.state_dict().values())
        device.forget()
        teacher.follow(image.device)
        assert not device.kernels and not device.syncs
