"""CSKD's loss: released numbers, a reference implementation, and edge cases."""

import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import ChannelSpatialKDLoss, channel_spatial_kd
from tests.conftest import golden_files
from tests.parity import cskd
from tests.parity.cskd import CONVS

from . import cskd_oracle as oracle


def make(student=16, teacher=24, gammas=(0.3, 0.2), **kwargs):
    """Return a loss with weights 1 and fixed convolutions, and the reference's arguments."""
    loss = ChannelSpatialKDLoss(
        student, teacher, cam_weight=1.0, pam_weight=1.0, **{'projection': 'fixed', **kwargs}
    )
    with torch.no_grad():
        loss.gamma_cam.fill_(gammas[0])
        loss.gamma_pam.fill_(gammas[1])
    return loss


def plain_losses(loss, student, teacher):
    convs = [
        nn.ModuleList(getattr(p, name) for name in CONVS)
        for p in (loss.student_projection, loss.teacher_projection)
    ]
    return oracle.channel_spatial_losses(
        student, teacher, loss.gamma_cam, loss.gamma_pam, loss.tau, loss.grid, *convs
    )


def check_against_plain(loss, student, teacher, rel):
    """Compare both losses and the gradients of 0.3 L_CAM + 0.8 L_PAM."""
    inputs = [student, *(p for p in loss.parameters() if p.requires_grad)]
    got = loss(student, teacher)
    grads = torch.autograd.grad(0.3 * got['loss_cam'] + 0.8 * got['loss_pam'], inputs)
    wanted = plain_losses(loss, student, teacher)
    wanted_grads = torch.autograd.grad(0.3 * wanted[0] + 0.8 * wanted[1], inputs)
    assert got['loss_cam'].item() == pytest.approx(wanted[0].item(), rel=rel)
    assert got['loss_pam'].item() == pytest.approx(wanted[1].item(), rel=rel)
    for grad, plain in zip(grads, wanted_grads, strict=True):
        assert (grad - plain).norm() <= 10 * rel * plain.norm() + 1e-12


@pytest.fixture(params=[pytest.param(False, id='whole'), pytest.param(True, id='slabs')])
def slab_bytes(request, monkeypatch):
    """Use the default slab size and the smallest."""
    if request.param:
        monkeypatch.setattr(channel_spatial_kd, 'SLAB_BYTES', 1)


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('cskd_*.json'))
def test_golden(path):
    quantities = set()
    for pair in cskd.compare(path):
        quantities.add(pair.quantity)
        if pair.quantity == 'attention maps':
            torch.testing.assert_close(pair.found, pair.wanted, rtol=1e-5, atol=1e-5)
        else:
            assert pair.difference <= (1e-5 if pair.quantity == 'losses' else 1e-4), pair
    assert quantities == {'losses', 'gradients', 'attention maps'}


@pytest.mark.parametrize('size', [(20, 20), (23, 31), (11, 7), (3, 6)])
@pytest.mark.parametrize('gammas', [(0.3, 0.2), (0.0, 0.0)])
@pytest.mark.parametrize('mode', ['fixed', 'learned'])
def test_agrees_with_the_reference(size, gammas, mode, slab_bytes):
    loss = make(gammas=gammas, projection=mode).double()
    student = torch.randn(4, 16, *size, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(4, 24, *size, dtype=torch.float64)
    check_against_plain(loss, student, teacher, rel=1e-9)
    last = student.detach().to(memory_format=torch.channels_last).requires_grad_()
    check_against_plain(loss, last, teacher.to(memory_format=torch.channels_last), rel=1e-9)


@pytest.mark.parametrize('mode', ['fixed', 'learned'])
def test_equal_channels_share_convolutions(mode):
    loss = make(16, 16, projection=mode).double()
    assert loss.teacher_projection is loss.student_projection
    student = torch.randn(5, 16, 9, 8, dtype=torch.float64, requires_grad=True)
    check_against_plain(loss, student, torch.randn(5, 16, 9, 8, dtype=torch.float64), rel=1e-9)


def test_float32_agrees_with_the_reference():
    loss = make(32, 64)
    student = torch.randn(4, 32, 33, 26, requires_grad=True)
    check_against_plain(loss, student, torch.randn(4, 64, 33, 26), rel=1e-5)


@pytest.mark.parametrize('mode', ['resampled', 'fixed', 'learned'])
def test_zero_when_student_equals_teacher(mode, slab_bytes):
    loss = make(16, 16, projection=mode).double()
    feat = torch.randn(4, 16, 11, 10, dtype=torch.float64)
    for value in loss(feat.requires_grad_(), feat).values():
        assert value.item() == pytest.approx(0, abs=1e-7)


def test_gradcheck(slab_bytes):
    loss = make(8, 16, grid=(2, 2), projection='learned').double()
    student = torch.randn(3, 8, 3, 3, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(3, 16, 3, 3, dtype=torch.float64)
    names, params = zip(*loss.named_parameters(), strict=True)

    def total(student, *params):
        values = torch.func.functional_call(
            loss, dict(zip(names, params, strict=True)), (student, teacher)
        )
        return values['loss_cam'] + values['loss_pam']

    assert torch.autograd.gradcheck(total, (student, *params), fast_mode=True)


def test_resampled_convolutions_are_new_and_not_trained():
    loss = make(projection='resampled')
    assert [name for name, _ in loss.named_parameters()] == ['gamma_cam', 'gamma_pam']
    student, teacher = torch.randn(4, 16, 10, 10, requires_grad=True), torch.randn(4, 24, 10, 10)
    first, second = loss(student, teacher), loss(student, teacher)
    assert first['loss_cam'].item() == second['loss_cam'].item()
    assert first['loss_pam'].item() != second['loss_pam'].item()
    first['loss_pam'].backward()
    assert student.grad.abs().sum() > 0 and loss.gamma_pam.grad.abs().sum() > 0


def test_weights_and_starting_values():
    loss = ChannelSpatialKDLoss(16, 24, projection='fixed')
    assert loss.gamma_cam.item() == 0 and loss.gamma_pam.item() == 0
    student, teacher = torch.randn(4, 16, 10, 10), torch.randn(4, 24, 10, 10)
    cam, pam = plain_losses(loss, student, teacher)
    got = loss(student, teacher)
    assert got['loss_cam'].item() == pytest.approx(0.3 * cam.item(), rel=1e-5)
    assert got['loss_pam'].item() == pytest.approx(0.8 * pam.item(), rel=1e-5)


@pytest.mark.parametrize('name', ['cam', 'pam'])
def test_one_term_alone(name):
    """Test that the other term is 0 and every parameter gets a gradient."""
    loss = ChannelSpatialKDLoss(16, 24, **{f'{name}_weight': 0.0})
    student = torch.randn(4, 16, 10, 10, requires_grad=True)
    losses = loss(student, torch.randn(4, 24, 10, 10))
    assert losses[f'loss_{name}'].item() == 0
    sum(losses.values()).backward()
    assert all((p.grad is not None) == p.requires_grad for p in loss.parameters())
    assert not getattr(loss, f'gamma_{name}').requires_grad


def test_no_gradient_to_the_teacher():
    teacher = torch.randn(4, 24, 10, 10, requires_grad=True)
    sum(make()(torch.randn(4, 16, 10, 10, requires_grad=True), teacher).values()).backward()
    assert teacher.grad is None


def test_without_gradients(slab_bytes):
    loss, student, teacher = make(), torch.randn(4, 16, 9, 9), torch.randn(4, 24, 9, 9)
    with torch.no_grad():
        quiet = loss(student, teacher)
    assert not quiet['loss_pam'].requires_grad
    assert quiet['loss_pam'].item() == pytest.approx(loss(student, teacher)['loss_pam'].item())


def test_constant_block():
    """Test that a block of zeros contributes 0, without gradient or NaN."""
    loss = make().double()
    student = torch.rand(4, 16, 10, 10, dtype=torch.float64)
    student[:, :, :2, :2] = 0
    teacher = torch.rand(4, 24, 10, 10, dtype=torch.float64)
    student.requires_grad_()
    value = loss(student, teacher)['loss_pam']
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(student.grad).all()
    assert student.grad[:, :, :2, :2].abs().max() == 0 and student.grad.abs().max() > 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    loss = make()
    student = torch.randn(4, 16, 10, 10).to(dtype).requires_grad_()
    teacher = torch.randn(4, 24, 10, 10).to(dtype)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = loss(student, teacher)
    wanted = loss(student.float(), teacher.float())
    for name in got:
        assert got[name].item() == pytest.approx(wanted[name].item(), rel=1e-6)
    sum(got.values()).backward()
    assert student.grad.dtype == dtype and torch.isfinite(student.grad).all()


def test_memory_of_one_slab_is_bounded():
    for length, nbytes in ((5, 0), (5, 3), (4, 100 << 20), (7, 20 << 20)):
        pieces = list(channel_spatial_kd.slabs(length, nbytes, torch.device('cpu')))
        assert [i for piece in pieces for i in range(length)[piece]] == list(range(length))
        size = max(len(range(length)[piece]) for piece in pieces)
        assert size == 1 or size * nbytes / length <= channel_spatial_kd.SLAB_BYTES * (1 + size)
    assert len(list(channel_spatial_kd.slabs(7, 100 << 20, torch.device('meta')))) == 1


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(tau=0), 'tau=0 must be above 0'),
        (dict(grid=(5,)), 'must be two integers'),
        (dict(grid=(0, 5)), 'must be two integers'),
        (dict(projection='random'), "projection='random' is unknown"),
    ],
)
def test_bad_arguments(kwargs, words):
    with pytest.raises(ConfigError, match=words):
        ChannelSpatialKDLoss(16, 24, **kwargs)


@pytest.mark.parametrize(
    ('student', 'teacher', 'words'),
    [
        ((1, 16, 8, 8), (1, 24, 8, 8), 'got 1 image'),
        ((4, 15, 8, 8), (4, 24, 8, 8), 'set student_channels'),
        ((4, 16, 8, 8), (4, 23, 8, 8), r'expected \(4, 24, 8, 8\)'),
        ((4, 16, 8, 8), (4, 24, 8, 9), 'to the same height and width'),
        ((4, 16, 8, 8), (3, 24, 8, 8), r'has shape \(3, 24, 8, 8\)'),
        ((4, 16, 8), (4, 24, 8), 'set student_channels'),
    ],
)
def test_bad_shapes(student, teacher, words):
    with pytest.raises(ConfigError, match=words):
        make()(torch.randn(student), torch.randn(teacher))
