"""Which accelerations a teacher gets, and when they are decided again."""

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.acceleration import accelerator as module_under_test
from mmkd_sod.models.acceleration.accelerator import Accelerator
from mmkd_sod.models.acceleration.parity import trial_outputs
from mmkd_sod.models.builder import build_model
from mmkd_sod.testing.small_detectors import small_detector
from tests.test_models.test_acceleration.test_memory_format import gfl, is_last
from tests.toy import Toy, norms


@pytest.fixture
def device(monkeypatch):
    """Tells the accelerator that its teacher is on another kind of device."""

    def move(name):
        monkeypatch.setattr(module_under_test, 'device_type', lambda _: name)

    return move


@pytest.mark.parametrize('head', ['NASFCOSHead', 'VFNetHead'])
def test_channels_last_is_refused_with_deformable_convolutions(head):
    init_default_scope('mmdet')
    module = build_model(small_detector(head))
    with pytest.raises(ConfigError, match='bbox_head.* is a deformable convolution'):
        Accelerator(module, channels_last=True)
    Accelerator(module)


def test_nothing_to_compile_is_refused():
    with pytest.raises(ConfigError, match='Toy has neither backbone nor neck'):
        Accelerator(Toy(), compile=True)


def test_a_second_call_does_nothing(monkeypatch):
    accelerator = Accelerator(gfl())
    accelerator.tune()
    monkeypatch.setattr(module_under_test, 'trial_outputs', None)
    accelerator.tune()


def test_decided_again_on_another_kind_of_device(device):
    module = gfl()
    accelerator = Accelerator(module)
    device('cuda')  # weights were loaded on the CPU, the teacher runs on a GPU
    accelerator.tune()
    folded = trial_outputs(module)
    assert not is_last(module.backbone.conv1) and norms(module) == 0
    device('cpu')
    accelerator.tune()
    assert is_last(module.backbone.conv1)
    device('cuda')
    accelerator.tune()
    assert not is_last(module.backbone.conv1) and norms(module) == 0
    assert not module.backbone._forward_pre_hooks
    assert all(torch.equal(a, b) for a, b in zip(trial_outputs(module), folded, strict=True))


def test_all_in_channels_last(device):
    module = gfl()
    accelerator = Accelerator(module, channels_last=True)
    accelerator.tune()
    last = [m for m in module.modules() if isinstance(m, nn.Conv2d) and is_last(m)]
    assert module.bbox_head.cls_convs[0].conv in last
    seen = []
    module.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    trial_outputs(module)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    device('cuda')
    accelerator.tune()
    assert module.bbox_head.cls_convs[0].conv in last  # there too
    assert len(module._forward_pre_hooks) == 1


def test_compilation_is_undone_on_another_kind_of_device(device, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda forward, **_: compiled.append(forward) or forward)
    module = gfl()
    forwards = [module.backbone.forward, module.neck.forward]
    accelerator = Accelerator(module, compile=True)
    accelerator.tune()
    device('cuda')
    accelerator.tune()
    # Winograd's transforms first; not the compiled forward compiled once more.
    assert compiled[2:4] == compiled[4:] == forwards
    for undo in reversed(accelerator._undo):
        undo()
    assert 'forward' not in vars(module.backbone)


def test_a_network_without_parameters():
    class Maps(nn.Module):
        data_preprocessor = None

        def forward(self, inputs, data_samples, mode):
            return inputs.mean(1)

    Accelerator(Maps()).tune()
