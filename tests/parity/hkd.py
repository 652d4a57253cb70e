"""HKDNet's distillation: every term of a released case by epoch, and gradient norms."""

from pathlib import Path

import torch
from torch import Tensor

from mmkd_sod.models.distillers import HKDSchedule
from mmkd_sod.models.distillers.hkd import HKDOutputs
from mmkd_sod.models.losses import DSSDLoss, FPDLoss, PNLADLoss, SaliencyBCELoss
from mmkd_sod.registry import MODELS
from tests import parity
from tests.parity import Pair

WEIGHTS = (4, 1, 1, 1)
PNLAD = dict(type='mmkd_sod.PNLADLoss', level_weights=WEIGHTS, pos_weight=0.9375)
FULL = dict(
    type='mmkd_sod.HKDDistiller',
    loss_pnlad=PNLAD,
    loss_fpd=dict(type='mmkd_sod.FPDLoss', level_weights=WEIGHTS),
    loss_dssd=dict(type='mmkd_sod.DSSDLoss', loss_weight=4.0),
    loss_dssd_decoder=dict(type='mmkd_sod.DSSDLoss'),
    label_weight=0.0625,
    schedule=dict(),
)


def read(path: Path) -> tuple[dict[str, Tensor], dict[int, dict], dict]:
    """Inputs by name, terms by epoch, and all numbers of a case."""
    numbers, arrays = parity.read(path)
    by_epoch = {int(epoch): terms for epoch, terms in numbers['by_epoch'].items()}
    assert by_epoch
    return arrays, by_epoch, numbers


def levels(arrays: dict[str, Tensor], prefix: str) -> list[Tensor]:
    """The arrays ``prefix0``, ``prefix1``, ... in order, finest first."""
    number = sum(key.startswith(prefix) and key[len(prefix) :].isdigit() for key in arrays)
    assert number > 0, prefix
    return [arrays[f'{prefix}{level}'] for level in range(number)]


def close(value, expected: float, rtol: float = 1e-5) -> None:
    """Assert relative agreement; zero must be zero."""
    torch.testing.assert_close(float(value), expected, rtol=rtol, atol=0)


def outputs(arrays: dict[str, Tensor], net: str) -> HKDOutputs:
    """What the distiller records of network ``'S'`` or ``'T'``."""
    return HKDOutputs(
        logits=levels(arrays, f'logit_{net.lower()}'),
        fused=levels(arrays, f'fuse_{net.lower()}'),
        encoder=[arrays[f'enc_{net}_{mode}4'] for mode in 'RD'],
        decoder=levels(arrays, f'enc_{net}_r') + levels(arrays, f'enc_{net}_d'),
    )


def terms(path: Path, device: str = 'cpu') -> list[Pair]:
    """The distiller's terms at every epoch, and their sum with the student's own loss."""
    arrays, by_epoch, _ = read(path)
    arrays = {name: value.to(device) for name, value in arrays.items()}
    distiller = MODELS.build(FULL)
    pairs = []
    for epoch, wanted in by_epoch.items():
        distiller.set_epoch(epoch)
        ours = distiller.terms(outputs(arrays, 'S'), outputs(arrays, 'T'))
        total = sum(value for key, value in ours.items() if 'loss' in key)
        found = dict(
            loss_positive=ours['loss_pos'] / 0.9375,
            loss_negative=ours['loss_neg'],
            loss_fpd=ours['loss_fpd'],
            loss_dssd=ours['loss_dssd'] + ours['loss_dssd_decoder'],
            total=total + 1.0625 * wanted['loss_gt'],
        )
        pairs += [
            Pair('terms', f'{name} at epoch {epoch}', float(value), wanted[name])
            for name, value in found.items()
        ]
    return pairs


def gradients(path: Path, device: str = 'cpu') -> list[Pair]:
    """The released total put together from the losses, and gradient norms of the inputs."""
    arrays, by_epoch, _ = read(path)
    arrays = {name: value.to(device) for name, value in arrays.items()}
    schedule = HKDSchedule()
    pnlad = PNLADLoss(tau_neg=None, level_weights=WEIGHTS)
    teacher = outputs(arrays, 'T')
    pairs = []
    for epoch, wanted in by_epoch.items():
        stage = schedule(epoch)
        leaves = {
            key: value.clone().requires_grad_()
            for key, value in arrays.items()
            if key.startswith(('logit_s', 'fuse_s', 'enc_S'))
        }
        student = outputs(leaves, 'S')
        truth = SaliencyBCELoss()(student.logits, arrays['gt'], level_weights=stage.gt_weights)
        positive = pnlad.positive(student.logits, teacher.logits, stage.tau_pos)
        mixed = 0.9375 * positive + 0.0625 * truth
        dssd = DSSDLoss(loss_weight=4.0)(student.encoder, teacher.encoder)
        if stage.decoder_similarity:
            dssd = dssd + DSSDLoss()(student.decoder, teacher.decoder)
        total = (
            mixed
            + truth
            + pnlad.negative(student.logits, teacher.logits, stage.tau_neg)
            + dssd
            + FPDLoss(level_weights=WEIGHTS)(student.fused, teacher.fused, stage.tau_feat)
        )
        total.backward()
        found = dict(loss_gt=truth, loss_positive_mixed=mixed, total=total)
        pairs += [
            Pair('terms', f'{name} at epoch {epoch}', float(value), wanted[name])
            for name, value in found.items()
        ]
        norms = {key: value for key, value in wanted.items() if key.startswith('grad_norm_')}
        assert norms
        for key, value in norms.items():
            norm = leaves[key.removeprefix('grad_norm_')].grad.norm().item()
            pairs.append(Pair('gradient norms', f'{key} at epoch {epoch}', norm, value))
    return pairs


def compare(path: Path, device: str = 'cpu') -> list[Pair]:
    """All of a case."""
    return terms(path, device) + gradients(path, device)
