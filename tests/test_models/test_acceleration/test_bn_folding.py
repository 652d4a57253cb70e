"""BN folding: kept where the outputs stay, undone elsewhere."""

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.acceleration import bn_folding as module_under_test
from mmkd_sod.models.acceleration.accelerator import Accelerator
from mmkd_sod.models.acceleration.bn_folding import fold_batch_norms
from mmkd_sod.models.acceleration.parity import trial_outputs
from mmkd_sod.models.builder import build_model
from tests.detection import detector
from tests.rgbd import hkdnet
from tests.toy import Toy, norms


def frozen(module):
    return module.eval().requires_grad_(False)


def test_outputs_stay():
    image = torch.rand(1, 3, 16, 16)
    toy = frozen(Toy())
    wanted = toy(image)
    undo = fold_batch_norms(toy)
    assert norms(toy) == 0
    torch.testing.assert_close(toy(image), wanted, rtol=0, atol=1e-5)
    assert not any(p.requires_grad for p in toy.parameters())
    undo()
    assert norms(toy) == 2 and torch.equal(toy(image), wanted)


def test_outputs_of_a_detector_stay():
    init_default_scope('mmdet')
    module = build_model(detector(width=8))
    module.init_weights()
    before = trial_outputs(frozen(module))
    Accelerator(module, channels_last=False).tune()
    assert norms(module) == 0
    for a, b in zip(trial_outputs(module), before, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_trial_has_as_many_channels_as_the_teacher_takes():
    init_default_scope('mmseg')
    module = build_model(hkdnet())
    module.init_weights()
    assert norms(module) > 0
    Accelerator(frozen(module)).tune()
    assert norms(module) == 0


def test_undone_where_a_convolution_is_shared():
    toy = frozen(Toy(shared=True))
    image = torch.rand(1, 3, 16, 16)
    wanted = toy(image)
    Accelerator(toy).tune()
    assert norms(toy) == 2
    assert torch.equal(toy(image), wanted)


def test_layers_that_are_read_stay():
    toy = frozen(Toy())
    toy.bn1.register_forward_hook(lambda *_: None)
    with pytest.raises(ConfigError, match='a distiller reads'):
        fold_batch_norms(toy)
    Accelerator(toy).tune()
    assert norms(toy) == 2


def test_nothing_is_half_folded(monkeypatch):
    fold = module_under_test.fuse_conv_bn

    def fail(module):
        fold(module)
        raise RuntimeError

    monkeypatch.setattr(module_under_test, 'fuse_conv_bn', fail)
    toy = frozen(Toy())
    with pytest.raises(RuntimeError):
        fold_batch_norms(toy)
    assert norms(toy) == 2


def test_can_be_switched_off():
    toy = frozen(Toy())
    Accelerator(toy, fold_bn=False).tune()
    assert norms(toy) == 2
    assert all(isinstance(m, nn.BatchNorm2d) for m in (toy.bn1, toy.bn2))
