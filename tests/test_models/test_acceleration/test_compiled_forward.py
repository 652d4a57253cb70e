"""Feature extractors through torch.compile; the compiler itself in slow tests."""

import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.acceleration import compiled_forward as module_under_test
from mmkd_sod.models.acceleration.compiled_forward import CompiledForward
from mmkd_sod.models.teachers import FrozenTeacher
from tests.test_models.test_acceleration.test_memory_format import gfl


class Counted:
    """Stands for torch.compile and counts the calls of what it gives."""

    def __init__(self, change=lambda x: x):
        self.calls, self.change = 0, change

    def __call__(self, forward):
        def run(*args):
            self.calls += 1
            return self.change(forward(*args))

        return run


@pytest.fixture
def compiler(monkeypatch):
    def use(change=lambda x: x):
        counted = Counted(change)
        monkeypatch.setattr(module_under_test.torch, 'compile', counted)
        return counted

    return use


def part():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval().requires_grad_(False)


@torch.no_grad()
def test_compared_once_then_fast(compiler, monkeypatch):
    counted, layers, image = compiler(), part(), torch.rand(1, 3, 8, 8)
    wanted, plain = layers(image), []
    forward = layers.forward
    layers.forward = lambda x: plain.append(1) or forward(x)
    layers.forward = CompiledForward(layers)
    for _ in range(3):
        assert torch.equal(layers(image), wanted)
    assert counted.calls == 3 + 1  # once more for the comparison
    assert len(plain) == counted.calls + 1


@torch.no_grad()
@pytest.mark.parametrize('autocast', [False, True])
def test_other_outputs_are_refused(compiler, autocast):
    compiler(lambda x: x + 0.01)
    layers = part()
    layers.forward = CompiledForward(layers)
    with (
        torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast),
        pytest.raises(ConfigError, match="teacher's Sequential moves its outputs by 1.0e-02"),
    ):
        layers(torch.rand(1, 3, 8, 8))


@torch.no_grad()
def test_compared_in_full_float32_under_autocast(compiler):
    compiler()
    layers, seen = part(), []
    forward = layers.forward
    layers.forward = lambda x: (
        seen.append((x.dtype, torch.is_autocast_enabled('cpu'))) or forward(x)
    )
    layers.forward = CompiledForward(layers)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = layers(torch.rand(1, 3, 8, 8).bfloat16())
    assert found.dtype == torch.bfloat16
    # Plain and compiled, then the output itself.
    assert seen == [(torch.float32, False)] * 2 + [(torch.bfloat16, True)]


@torch.no_grad()
def test_a_failing_compiler_is_reported(compiler):
    def fail(_):
        raise RuntimeError('no compiler found\nand a long story')

    compiler(fail)
    layers = part()
    layers.forward = CompiledForward(layers)
    with pytest.raises(ConfigError, match='RuntimeError: no compiler found.; leave the option out'):
        layers(torch.rand(1, 3, 8, 8))


@torch.no_grad()
def test_plain_while_something_inside_is_read(compiler):
    counted, layers, image = compiler(), part(), torch.rand(1, 3, 8, 8)
    layers.forward = CompiledForward(layers)
    records = []
    handle = layers[0].register_forward_hook(lambda _, args, out: records.append(out))
    layers(image)
    assert counted.calls == 0 and len(records) == 1
    handle.remove()
    layers(image)
    assert counted.calls == 2 and len(records) == 1


@pytest.mark.slow
@torch.no_grad()
def test_outputs_of_a_detector_stay():
    image = torch.rand(2, 3, 96, 128)
    module = gfl()
    wanted = FrozenTeacher(module, trusted=True)(image)
    teacher = FrozenTeacher(module, trusted=True, compile=True)
    teacher.tune()
    for _ in range(2):
        torch.testing.assert_close(teacher(image), wanted, rtol=1e-4, atol=1e-4)
    other = torch.rand(1, 3, 64, 64)
    found = teacher(other)
    del module.backbone.forward, module.neck.forward
    torch.testing.assert_close(found, teacher(other), rtol=1e-4, atol=1e-4)
