"""The teacher's loss on a labelled training batch, where there are no validation data."""

import copy

import torch
from mmengine.model import BaseModel

from .batches import samples_of
from .report import Section, number

# A teacher whose loss is above this share of an untrained network's has learned nothing of use.
USELESS = 0.9


def is_labelled(batch) -> bool:
    """Return whether a batch has boxes or label maps."""
    samples = samples_of(batch) if isinstance(batch, dict) else []
    return any('gt_instances' in sample or 'gt_sem_seg' in sample for sample in samples)


def initialise(model: BaseModel) -> BaseModel:
    """Initialise a model as a run does, but without pretrained weights, and return it."""
    for module in model.modules():
        init = getattr(module, 'init_cfg', None)
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            module.init_cfg = None
    with torch.random.fork_rng(devices=[]):
        model.init_weights()
    return model


@torch.no_grad()
def task_loss(model: BaseModel, batch: dict) -> float:
    """Return the sum of a model's losses on a batch, in eval mode."""
    model.eval()
    # A copy, since some preprocessors change the boxes of their samples.
    data = model.data_preprocessor(copy.deepcopy(batch), True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    return float(total)


def judge_losses(teacher: float, untrained: float, section: Section, label: str) -> None:
    """Report a teacher whose loss is hardly below that of an untrained network."""
    section.data.setdefault('losses', {})[label] = dict(teacher=teacher, untrained=untrained)
    section.add(
        f'loss on a training batch: {label} {number(teacher)}, untrained {number(untrained)}'
    )
    if not teacher < USELESS * untrained:
        section.error(
            f'the {label} is no better than a random one: its loss on a labelled batch is '
            f'{number(teacher)}, that of an untrained network {number(untrained)}; set '
            'teacher_ckpt to a trained teacher of these data, and check its classes and '
            'normalisation'
        )
