"""CSKD: losses, attention maps and gradients of a released case."""

from pathlib import Path

import torch

from mmkd_sod.models.losses import ChannelSpatialKDLoss
from mmkd_sod.models.losses.channel_attention import channel_attention
from mmkd_sod.models.losses.position_attention import position_attention
from mmkd_sod.registry import MODELS
from tests.parity import Pair, load_arrays, read

CONVS = ('query', 'key', 'value')


def build(numbers: dict, arrays: dict) -> ChannelSpatialKDLoss:
    """The loss with the case's convolutions and gammas, and weights of 1."""
    loss = ChannelSpatialKDLoss(
        numbers['Cs'],
        numbers['Ct'],
        tau=numbers['temperature_sa'],
        grid=numbers['grid'],
        cam_weight=1.0,
        pam_weight=1.0,
        projection='fixed',
    )
    state = {
        f'{side}_projection.{conv}.{kind}': arrays[f'{conv}{channels}/{kind}']
        for side, channels in (('student', numbers['Cs']), ('teacher', numbers['Ct']))
        for conv in CONVS
        for kind in ('weight', 'bias')
    }
    assert not loss.load_state_dict(state, strict=False).unexpected_keys
    with torch.no_grad():
        for name in ('gamma_cam', 'gamma_pam'):
            getattr(loss, name).fill_(numbers[name])
    return loss


def compare(path: Path, device: str = 'cpu') -> list[Pair]:
    """Both feature losses, the loss of the logits, gradients and attention maps."""
    numbers, arrays = read(path)
    loss = build(numbers, arrays).to(device)
    arrays = {name: value.to(device) for name, value in arrays.items()}
    student = arrays['student'].requires_grad_()
    losses = loss(student, arrays['teacher'])
    (0.3 * losses['loss_cam'] + 0.8 * losses['loss_pam']).backward()
    found = {name: value.item() for name, value in losses.items()}
    logits = path.with_name(f'{path.stem}_logits.npz')
    if logits.is_file() and 'loss_cwd_T2' in numbers:
        maps = {name: value.to(device) for name, value in load_arrays(logits).items()}
        cwd = MODELS.build(dict(type='mmrazor.ChannelWiseDivergence', tau=2.0, loss_weight=1.0))
        found['loss_cwd_T2'] = cwd(maps['student'], maps['teacher']).item()
    pairs = [Pair('losses', name, value, numbers[name]) for name, value in found.items()]
    pairs += [
        Pair('gradients', name, getattr(loss, name).grad.item(), numbers[f'grad_{name}'])
        for name in ('gamma_cam', 'gamma_pam')
    ]
    pairs.append(Pair('gradients', 'student', student.grad, arrays['grad_student']))
    with torch.no_grad():
        cam = channel_attention(student, loss.gamma_cam, loss.tau)
        # The released block is cut by rounding down, whatever the grid's first block is.
        height, width = arrays['pam_block00_student'].shape[2:]
        block = student[:, :, :height, :width]
        pam = position_attention(
            block, loss.gamma_pam, *loss.student_projection.convolutions(block), (1, 1)
        )
    return [
        *pairs,
        Pair('attention maps', 'cam', cam, arrays['cam_student']),
        Pair('attention maps', 'pam', pam, arrays['pam_block00_student']),
    ]
