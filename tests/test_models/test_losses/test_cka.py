"""CKA: values by hand, invariances, and small batches."""

import warnings

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import CKALoss
from mmkd_sod.models.losses import cka as cka_file
from mmkd_sod.models.losses.cka import centre, cka, cka_from_grams, gram, hsic

from .cskd_oracle import cka_loss as oracle_loss


def test_hand_worked():
    # With one number per image, Gram matrices are outer products and CKA is the squared cosine of
    # the centred numbers: 0 for (-1, 0, 1) and (-1, 2, -1), 27 / 28 for (-1, 0, 1) and (-4, -1, 5).
    line = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    bump = torch.tensor([[0.0], [3.0], [0.0]], dtype=torch.float64)
    assert cka(line, bump).item() == pytest.approx(0, abs=1e-7)
    bent = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    assert cka(line, bent).item() == pytest.approx(27 / 28, rel=1e-6)
    assert CKALoss()(line, bump).item() == pytest.approx(18.42, abs=0.01)


def test_hsic_centres():
    x = torch.randn(5, 7, dtype=torch.float64)
    shifted = x + torch.randn(7, dtype=torch.float64)
    assert torch.allclose(centre(gram(shifted)), centre(gram(x)))
    assert torch.allclose(centre(gram(x)), gram(x - x.mean(0)))
    assert hsic(gram(x), gram(shifted)).item() == pytest.approx(
        gram(x - x.mean(0)).square().sum().item()
    )


@pytest.mark.parametrize('rows', [1, 255, 256, 515])
def test_gram_of_many_rows(rows):
    feat = torch.randn(2, rows, 9, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, rows, rows, dtype=torch.float64)
    plain = feat @ feat.transpose(1, 2)
    assert torch.allclose(gram(feat), plain)
    (grad,) = torch.autograd.grad((gram(feat) * weight).sum(), feat)
    assert torch.allclose(grad, torch.autograd.grad((plain * weight).sum(), feat)[0])


def test_invariant_to_rotation_scale_and_shift():
    x = torch.randn(6, 10, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(10, 10, dtype=torch.float64))[0]
    assert CKALoss()(x, 3 * x @ rotation + 1).item() == pytest.approx(0, abs=1e-7)
    assert CKALoss()(x, torch.randn(6, 4, dtype=torch.float64)).item() > 0.1


@pytest.mark.parametrize(
    'shapes', [((4, 8, 5, 6), (4, 16, 5, 6)), ((3, 9), (3, 2, 2)), ((8, 4, 3, 3), (8, 4, 7, 2))]
)
def test_agrees_with_the_reference(shapes):
    student, teacher = (torch.randn(s, dtype=torch.float64) for s in shapes)
    student.requires_grad_()
    loss = CKALoss(loss_weight=2.0)(student, teacher)
    (grad,) = torch.autograd.grad(loss, student)
    plain = 2 * oracle_loss(student, teacher)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-10)
    assert torch.allclose(grad, torch.autograd.grad(plain, student)[0], rtol=1e-9)


def test_gradients():
    student = torch.randn(4, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(4, 5, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: CKALoss()(x, teacher), student)
    CKALoss()(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_one_image_is_refused():
    with pytest.raises(ConfigError, match='got 1 image; .*gather=True'):
        CKALoss()(torch.randn(1, 4), torch.randn(1, 4))


def test_two_images_warn_once(monkeypatch):
    monkeypatch.setattr(cka_file, '_warned', set())
    student = torch.randn(2, 40, requires_grad=True)
    with pytest.warns(UserWarning, match='with 2 images CKA is 1'):
        loss = CKALoss()(student, torch.randn(2, 30))
    assert loss.item() == pytest.approx(0, abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        CKALoss()(student, torch.randn(2, 30))


def test_different_batches_are_refused():
    with pytest.raises(ConfigError, match='got 4 student and 3 teacher images'):
        CKALoss()(torch.randn(4, 2), torch.randn(3, 2))


@pytest.mark.parametrize('value', [0.0, 0.7])
def test_equal_features_in_all_images(value):
    """Test that CKA of 0 / 0 contributes no loss or gradient, and other blocks are unaffected."""
    dead = torch.full((4, 300), value)
    stacked = torch.stack([dead, torch.randn(4, 300)]).requires_grad_()
    teacher = torch.randn(2, 4, 50)
    values = cka_from_grams(gram(stacked), gram(teacher))
    assert values[0] == 1
    (grad,) = torch.autograd.grad(values.sum(), stacked)
    assert grad[0].abs().max() == 0
    assert torch.isfinite(grad[1]).all() and grad[1].abs().max() > 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    student, teacher = (torch.randn(4, 8, 6, 6) * 20 for _ in range(2))
    student = student.to(dtype).requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = CKALoss()(student, teacher.to(dtype))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        CKALoss()(student.float(), teacher.to(dtype).float()).item(), rel=1e-6
    )
    loss.backward()
    assert student.grad.dtype == dtype and torch.isfinite(student.grad).all()


def test_channels_last():
    student, teacher = torch.randn(4, 8, 6, 5), torch.randn(4, 12, 6, 5)
    last = torch.channels_last
    assert CKALoss()(student.to(memory_format=last), teacher.to(memory_format=last)).item() == (
        pytest.approx(CKALoss()(student, teacher).item(), rel=1e-5)
    )
