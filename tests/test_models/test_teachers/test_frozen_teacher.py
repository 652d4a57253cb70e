"""FrozenTeacher: frozen, prediction only, folded where its answers stay."""
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.teachers import FrozenTeacher
from mmkd_sod.testing.small_detectors import small_detector
from mmkd_sod.utils.tensors import flat
from tests.detection import detector
from tests.rgbd import hkdnet


class Toy(BaseModel):
    """Two conv + BN pairs and a dropout; ``shared`` uses one convolution in both."""

    def __init__(self, shared=False):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)
        self.conv2 = self.conv1 if shared else nn.Conv2d(3, 3, 3)
        self.bn2, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)
        for bn, mean in ((self.bn1, 1.), (self.bn2, -2.)):
            bn.running_mean.fill_(mean)
            bn.running_var.fill_(0.3)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.drop(self.bn2(self.conv2(self.bn1(self.conv1(inputs)))))


def norms(module):
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


def test_folding_keeps_the_answers():
    image = torch.rand(1, 3, 16, 16)
    wanted = FrozenTeacher(toy := Toy(), trusted=True)(image)
    teacher = FrozenTeacher(toy, trusted=True)
    teacher.load()
    assert norms(toy) == 0
    torch.testing.assert_close(teacher(image), wanted, rtol=0, atol=1e-5)
    assert not any(p.requires_grad for p in toy.parameters())


def test_folding_keeps_the_answers_of_a_detector():
    init_default_scope('mmdet')
    module = build_model(detector(width=8))
    module.init_weights()
    teacher = FrozenTeacher(module, trusted=True)
    before = teacher._answers()
    teacher.load()
    assert norms(module) == 0
    for a, b in zip(teacher._answers(), before, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_folding_tries_with_as_many_channels_as_the_teacher_takes():
    init_default_scope('mmseg')
    module = build_model(hkdnet())
    module.init_weights()
    assert norms(module) > 0
    FrozenTeacher(module, trusted=True).load()
    assert norms(module) == 0


def test_folding_is_undone_where_a_convolution_is_shared():
    toy = Toy(shared=True)
    image = torch.rand(1, 3, 16, 16)
    wanted = toy.eval()(image)
    teacher = FrozenTeacher(toy, trusted=True)
    teacher.load()
    assert norms(toy) == 2
    assert torch.equal(teacher(image), wanted)


def test_folding_leaves_layers_that_are_read():
    toy = Toy()
    toy.bn1.register_forward_hook(lambda *_: None)
    FrozenTeacher(toy, trusted=True).load()
    assert norms(toy) == 2


def test_folding_can_be_switched_off():
    toy = Toy()
    FrozenTeacher(toy, trusted=True, fold_bn=False).load()
    assert norms(toy) == 2


def test_sync_bn_becomes_bn():
    toy = Toy()
    toy.bn1 = nn.SyncBatchNorm(3)
    teacher = FrozenTeacher(toy, trusted=True, fold_bn=False)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in teacher.module.modules())


def test_no_gradient_and_no_dropout():
    teacher = FrozenTeacher(Toy(), trusted=True)
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    first, second = teacher(image), teacher(image)
    assert not first.requires_grad
    assert torch.equal(first, second)


@pytest.mark.parametrize('option', [dict(channels_last=True), dict(autocast='bf16')])
def test_speed_options(option):
    image = torch.rand(2, 3, 16, 16)
    toy = Toy()
    wanted = FrozenTeacher(toy, trusted=True)(image)
    teacher = FrozenTeacher(toy, trusted=True, **option)
    teacher.load()
    tolerance = 0.1 if 'autocast' in option else 1e-5
    torch.testing.assert_close(teacher(image).float(), wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize('head', ['NASFCOSHead', 'VFNetHead'])
def test_channels_last_is_refused_with_deformable_convolutions(head):
    init_default_scope('mmdet')
    module = build_model(small_detector(head))
    with pytest.raises(ConfigError, match='bbox_head.* is a deformable convolution'):
        FrozenTeacher(module, trusted=True, channels_last=True)
    FrozenTeacher(module, trusted=True)


def test_exact_switches_every_acceleration_off():
    init_default_scope('mmdet')
    module = build_model(detector(width=8))
    module.init_weights()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = module.eval()(image, mode='tensor')
    norms_before = norms(module)
    teacher = FrozenTeacher(module, trusted=True, channels_last=True, autocast='bf16',
                            compile=True, exact=True)
    teacher.load()
    assert norms(module) == norms_before > 0
    assert all(torch.equal(a, b) for a, b in zip(flat(teacher(image)), flat(wanted), strict=True))
