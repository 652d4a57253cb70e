"""CrossKD: every loss and the gradient norms of a released case."""

import copy
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from mmkd_sod.registry import MODELS
from tests.parity import Pair, read

OURS = dict(
    KDQualityFocalLoss='mmkd_sod.KDQualityFocalLoss',
    KnowledgeDistillationKLDivLoss='mmkd_sod.KDKLDivLoss',
)
# The released programs' name of a loss, and ours.
NAMES = dict(
    losses_center_kd='distill.loss_center_kd',
    loss_feat_kd='distill.loss_feat_kd',
    loss_cls_kd='distill.loss_cls_kd',
    loss_reg_kd='distill.loss_reg_kd',
)


def kd_loss(cfg: dict) -> dict:
    """Our config of a distillation loss from the released one."""
    cfg = dict(cfg)
    cfg['type'] = OURS.get(cfg['type'], 'mmdet.' + cfg['type'])
    cfg.pop('class_reduction', None)
    if 'T' in cfg:
        cfg['tau'] = cfg.pop('T')
    return cfg


def distiller(numbers: dict) -> dict:
    """Config of the case's distiller, with mmrazor's PKD beside it where the case has PKD."""
    losses = {
        name: kd_loss(cfg) for name, cfg in numbers['kd_losses'].items() if name != 'loss_feat_kd'
    }
    crosskd = dict(
        type='mmkd_sod.CrossKDDistiller',
        reused_teacher_head_idx=numbers['reused_teacher_head_idx'],
        **losses,
    )
    if 'loss_feat_kd' not in numbers['kd_losses']:
        return crosskd
    return with_pkd(crosskd, numbers['kd_losses']['loss_feat_kd']['loss_weight'])


def with_pkd(crosskd: dict, weight: float) -> dict:
    """The config of a distiller with mmrazor's PKD on the neck beside it."""
    recorder = dict(neck=dict(type='mmrazor.ModuleOutputs', source='neck'))
    return dict(
        type='mmkd_sod.CompositeDistiller',
        distillers=[
            crosskd,
            dict(
                type='mmrazor.ConfigurableDistiller',
                student_recorders=recorder,
                teacher_recorders=copy.deepcopy(recorder),
                distill_losses=dict(loss_feat_kd=dict(type='mmrazor.PKDLoss', loss_weight=weight)),
                loss_forward_mappings=dict(
                    loss_feat_kd=dict(
                        preds_S=dict(recorder='neck', from_student=True),
                        preds_T=dict(recorder='neck', from_student=False),
                    )
                ),
            ),
        ],
    )


def build(numbers: dict, arrays: dict[str, Tensor], **options):
    """The case's DenseDistill with its weights; options override its arguments."""
    init_default_scope('mmdet')
    student, teacher = (
        dict(copy.deepcopy(numbers[f'{net}_cfg']), _scope_='mmdet')
        for net in ('student', 'teacher')
    )
    model = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=student,
            teacher=teacher,
            distiller=options.pop('distiller', None) or distiller(numbers),
            teacher_allow_missing=['*'],
            **options,
        )
    )
    for name, part in (('student', model.student), ('teacher', model.teacher)):
        part.load_state_dict(
            {
                key.removeprefix(f'{name}/'): value
                for key, value in arrays.items()
                if key.startswith(f'{name}/')
            },
            strict=True,
        )
    return model.train()


def batch(arrays: dict[str, Tensor]) -> dict:
    """Images and ground truth, as a data loader gives them."""
    images = arrays['img']
    shape = tuple(images.shape[-2:])
    samples = []
    for i in range(len(images)):
        sample = DetDataSample(
            metainfo=dict(
                img_shape=shape, pad_shape=shape, batch_input_shape=shape, scale_factor=(1.0, 1.0)
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=arrays[f'bboxes{i}'], labels=arrays[f'labels{i}'].long()
        )
        samples.append(sample)
    return dict(inputs=list(images), data_samples=samples)


def total(value) -> float:
    """A loss summed over its levels."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    return float(sum(part.sum() for part in parts))


def run(
    numbers: dict,
    arrays: dict[str, Tensor],
    dtype: torch.dtype = torch.float32,
    device: str = 'cpu',
    **options,
) -> tuple[dict[str, float], dict[str, float]]:
    """One training step without an update.

    Args:
        numbers, arrays (dict): The case, as ``tests.parity.read`` gives it.
        dtype (torch.dtype): Precision of both networks; ground truth stays in float32.
        device (str): Where the step runs.
        **options: Override arguments of ``DenseDistill``.

    Returns:
        tuple[dict, dict]: Losses by their released names, with their total as ``loss``; gradient
        norms by the student's parameter names, with that of all together as ``total``.
    """
    model = build(numbers, arrays, **options).to(device, dtype)
    data = model.data_preprocessor(batch(arrays), training=True)
    data['inputs'] = data['inputs'].to(dtype)
    losses = model(**data, mode='loss')
    loss, _ = model.parse_losses(losses)
    found = {
        name: total(losses[NAMES.get(name, f'student.{name}')])
        for name in numbers['losses']
        if name != 'loss'
    }
    loss.backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    norms = {
        name: p.grad.norm() for name, p in model.student.named_parameters() if p.grad is not None
    }
    norms['total'] = torch.stack(list(norms.values())).norm()
    return found | dict(loss=loss.item()), {name: norm.item() for name, norm in norms.items()}


def compare(path: Path, dtype: torch.dtype = torch.float32, **options) -> list[Pair]:
    """Losses and gradient norms of a case; what ``run`` takes besides can be given."""
    numbers, arrays = read(path)
    losses, norms = run(numbers, arrays, dtype, **options)
    wanted = dict(numbers['grad_norm'], total=numbers['total_grad_norm'])
    return [
        *(Pair('losses', name, losses[name], value) for name, value in numbers['losses'].items()),
        *(
            Pair('gradient norms', name, norms.get(name, 0.0), value, least=0.01)
            for name, value in wanted.items()
        ),
    ]
