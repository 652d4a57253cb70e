"""CrossKD beyond dense heads: losses and gradient norms of a released case, total and KD alone."""

from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor

from tests.parity import Pair, read
from tests.parity.crosskd import build, kd_loss, total, with_pkd

# Options that stand for what the release computes, by kind.
OPTIONS = dict(mask_rcnn=dict(masks='all'))


# Names of the PKD term in the released programs.
FEATURES = {'loss_feat_kd', 'losses_feat_kd'}


def distiller(numbers: dict, detached: bool = False) -> dict:
    """Config of the case's distiller; a loss that the case does not have is left out."""
    kind = numbers['kind']
    terms = {name: cfg for name, cfg in numbers['kd_losses'].items() if name not in FEATURES}
    given = {name: kd_loss(cfg) for name, cfg in terms.items()}
    for cfg in given.values():
        cfg.pop('reduction', None)
    cfg = dict(type='mmkd_sod.CrossKDDistiller', **OPTIONS.get(kind, {}), **given)
    if kind == 'deformable_detr':
        if 'student' in numbers['variant']:
            cfg.update(queries='student', detach_targets=False)
        if 'loss_iou_kd' not in given:
            cfg.update(boxes='pixels', loss_iou_kd=False)
    if detached:
        cfg['detach_targets'] = True
    for name in FEATURES & numbers['kd_losses'].keys():
        cfg = with_pkd(cfg, numbers['kd_losses'][name]['loss_weight'])
    return cfg


def batch(numbers: dict, arrays: dict[str, Tensor]) -> dict:
    """Images and ground truth, as a data loader gives them."""
    shape = tuple(numbers['batch_input_shape'])
    images, samples = [], []
    for i, (height, width) in enumerate(numbers['img_shapes']):
        images.append(arrays['img'][i][:, :height, :width])
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(height, width),
                ori_shape=(height, width),
                batch_input_shape=shape,
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=arrays[f'bboxes{i}'].reshape(-1, 4), labels=arrays[f'labels{i}'].long()
        )
        if f'masks{i}' in arrays:
            masks = arrays[f'masks{i}'].numpy().reshape(-1, height, width)
            sample.gt_instances.masks = BitmapMasks(masks, height, width)
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def norms(model, loss: Tensor) -> dict[str, float]:
    """Gradient norms of a loss by the student's parameter names, and of all together."""
    model.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    assert all(p.grad is None for p in model.teacher.parameters())
    found = {
        name: p.grad.norm() for name, p in model.student.named_parameters() if p.grad is not None
    }
    return {name: norm.item() for name, norm in found.items()} | dict(
        total=torch.stack(list(found.values())).norm().item()
    )


def pairs_of(quantity: str, found: dict, wanted: dict, total_norm: float) -> list[Pair]:
    """Compare gradient norms; a parameter without gradient has the norm 0."""
    return [
        Pair(quantity, name, found.get(name, 0.0), value)
        for name, value in dict(wanted, total=total_norm).items()
    ]


def compare(path: Path, detached: bool = False, **options) -> list[Pair]:
    """Losses and gradient norms of a case.

    Args:
        path (Path): The case.
        detached (bool): Compare with the norms of detached targets, where the case has them.
        **options: Override arguments of ``DenseDistill``.
    """
    numbers, arrays = read(path)
    if detached and 'target_detached' not in numbers:
        return []
    cfg = distiller(numbers, detached)
    if detached:
        numbers.update(numbers['target_detached'])
    model = build(numbers, arrays, distiller=cfg, **options)
    losses = model(**model.data_preprocessor(batch(numbers, arrays), training=True), mode='loss')
    kd = [value for name, value in losses.items() if name.startswith('distill.')]
    loss, _ = model.parse_losses(losses)
    pairs = []
    for name, value in numbers['losses'].items():
        if name == 'loss':
            found = loss.item()
        elif name in FEATURES:
            found = total(losses['distill.loss_feat_kd'])
        else:
            found = total(losses[('distill.' if name.endswith('_kd') else 'student.') + name])
        pairs.append(Pair('losses', name, found, value))
    kd_norms = norms(model, sum(kd))
    pairs += pairs_of(
        'gradient norms', norms(model, loss), numbers['grad_norm'], numbers['total_grad_norm']
    )
    pairs += pairs_of(
        'KD gradient norms', kd_norms, numbers['kd_grad_norm'], numbers['kd_total_grad_norm']
    )
    for part in numbers['no_kd_gradient']:
        size = sum(value for name, value in kd_norms.items() if name.startswith(part))
        pairs.append(Pair('no KD gradient', part, float(size), 0.0))
    return pairs
