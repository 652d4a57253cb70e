"""DiceLoss: values by hand, properties, and the released numbers."""

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import DiceLoss, dice_per_image
from mmkd_sod.registry import MODELS
from tests.conftest import golden_files
from tests.parity import scfnet as parity
from tests.test_models.test_losses.released_dice import check_against_release


def logits_of(prob):
    return torch.logit(torch.tensor(prob)).reshape(-1, 1, *torch.tensor(prob).shape[-2:])


def test_hand_worked():
    # P = .5 .5 / .25 0, G = 1 0 / 1 0: overlap .75, sums 1.25 and 2.
    loss = DiceLoss()(
        logits_of([[0.5, 0.5], [0.25, 0.0]]), torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    )
    assert loss.item() == pytest.approx(1 - (1.5 + 1) / (3.25 + 1), abs=1e-6)


def test_mean_over_images_and_weight():
    logits, target = torch.randn(3, 1, 8, 6), (torch.rand(3, 1, 8, 6) > 0.5).float()
    each = torch.stack([DiceLoss()(logits[i : i + 1], target[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(DiceLoss(loss_weight=2.0)(logits, target), 2 * each.mean())


def test_limits():
    full = torch.full((2, 1, 16, 16), 40.0)
    assert DiceLoss()(full, torch.ones(2, 1, 16, 16)) == 0
    assert DiceLoss()(-full, torch.zeros(2, 1, 16, 16)) < 1e-6  # two empty maps agree
    assert DiceLoss()(full, torch.zeros(2, 1, 16, 16)) > 0.99


def test_integer_label_map_with_ignored_positions():
    logits, label = torch.randn(2, 1, 4, 4), torch.randint(0, 2, (2, 4, 4))
    expected = DiceLoss()(logits[..., :3], label[..., :3].unsqueeze(1).float())
    label[..., 3] = 255
    torch.testing.assert_close(DiceLoss()(logits, label), expected)
    everything = DiceLoss()(logits, torch.full_like(label, 255))
    assert everything == 0 and torch.isfinite(everything)


def test_teacher_logits_get_no_gradient():
    student = torch.randn(2, 1, 5, 5, requires_grad=True)
    teacher = torch.randn(2, 1, 5, 5, requires_grad=True)
    loss = DiceLoss(sigmoid_target=True)(student, teacher)
    torch.testing.assert_close(loss, DiceLoss()(student, teacher.sigmoid()))
    loss.backward()
    assert student.grad.abs().sum() > 0 and teacher.grad is None


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    # 640 x 640 ones overflow float16 and lose 1 in 256 in bfloat16 when summed as such.
    logits = torch.full((1, 1, 640, 640), 3.0, dtype=dtype)
    target = torch.ones(1, 1, 640, 640)
    torch.testing.assert_close(DiceLoss()(logits, target), DiceLoss()(logits.float(), target))


def test_channels_last_and_non_contiguous():
    logits, target = torch.randn(2, 1, 6, 4), torch.rand(2, 1, 6, 4)
    expected = DiceLoss()(logits, target)
    last = logits.to(memory_format=torch.channels_last)
    torch.testing.assert_close(DiceLoss()(last, target), expected)
    view = logits.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(DiceLoss()(view, target), expected)


@pytest.mark.parametrize(
    'logits, target', [((2, 1, 4, 4), (2, 1, 8, 8)), ((2, 2, 4, 4), (2, 4, 4)), ((4, 4), (4, 4))]
)
def test_refuses_shapes(logits, target):
    with pytest.raises(ConfigError, match=r'DiceLoss: got logits .*one shape \(N, 1, H, W\)'):
        DiceLoss()(torch.zeros(logits), torch.zeros(target))


def test_refuses_pixel_weights():
    with pytest.raises(ConfigError, match='remove the sampler'):
        DiceLoss()(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2), weight=torch.ones(1, 2, 2))


def test_registered_and_named_for_mmseg():
    loss = MODELS.build(dict(type='mmkd_sod.DiceLoss', loss_name='loss_a'))
    assert loss.loss_name == 'loss_a'


def test_dice_per_image_does_not_reduce_the_batch():
    assert dice_per_image(torch.rand(3, 2, 4, 4), torch.rand(3, 2, 4, 4)).shape == (3,)


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('scfnet_*.json'))
def test_golden(path):
    values = list(parity.dice(path))
    assert values
    for value in values:
        check_against_release(value)


def test_released_sums_have_the_gradient_of_exact_ones():
    logits, target = torch.randn(2, 1, 48, 40), torch.rand(2, 1, 48, 40)
    grads, losses = [], []
    for flag in (False, True):
        x = logits.clone().requires_grad_()
        loss = DiceLoss(released_sums=flag)(x, target)
        loss.backward()
        grads.append(x.grad)
        losses.append(loss.item())
    assert losses[0] != losses[1]  # rounded after every addition
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-4, atol=1e-9)
    # Sums of integers are exact, so both are equal.
    ones = (target > 0.5).float()
    exact, released = (
        dice_per_image(ones, ones.flip(3), released_sums=flag) for flag in (False, True)
    )
    assert torch.equal(exact, released)
