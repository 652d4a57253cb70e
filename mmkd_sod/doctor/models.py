"""Section on the models: building them, their sizes, and their classes compared with the data."""

from typing import Any

from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn

from .context import Context
from .report import Section, number, table

NAME, TITLE, NEEDS = 'models', 'Models', ()

# Label of ignored pixels.
_IGNORED = 255
_HEADS = ('bbox_head', 'decode_head', 'auxiliary_head')


def classes_of(model: BaseModel) -> dict:
    """Return the number of classes of each head of a model, by the head's name."""
    found = {}
    for name, module in model.named_modules():
        # The heads of a cascade are numbered.
        if name.rstrip('0123456789').rstrip('.').split('.')[-1] not in _HEADS:
            continue
        classes = getattr(module, 'num_classes', None)
        # One output channel stands for two classes, background and salient.
        if getattr(module, 'out_channels', None) == 1 and 'bbox' not in name:
            classes = 2
        if isinstance(classes, int):
            found[name] = classes
    return found


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _types(model: BaseModel) -> list:
    heads = [
        module
        for name, module in model.named_children()
        if name in ('bbox_head', 'decode_head', 'roi_head')
    ]
    return [
        type(model).__name__,
        *(type(head[-1] if isinstance(head, nn.ModuleList) else head).__name__ for head in heads),
    ]


def _check_classes(context: Context, section: Section) -> None:
    """Compare the student's classes with those of the data and the labels of the batch."""
    heads = classes_of(context.student)
    section.data['classes'] = heads
    dataset = context.val_set if context.train_loader is None else context.train_loader.dataset
    names: Any = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    wrong = {
        name: count for name, count in heads.items() if names is not None and count != len(names)
    }
    if wrong:
        name, count = next(iter(wrong.items()))
        section.error(
            f"the student's {name} has {count} classes, the data have {len(names)} "
            f'({", ".join(names[:4])}{", ..." if len(names) > 4 else ""}); set num_classes, or '
            'metainfo.classes of the data set'
        )
    if context.batch is None:
        return
    for sample in context.batch.get('data_samples') or ():
        for kind, labels in (
            ('box', 'gt_instances' in sample and sample.gt_instances.labels),
            ('pixel', 'gt_sem_seg' in sample and sample.gt_sem_seg.data),
        ):
            if labels is False or labels.is_floating_point() or not labels.numel() or not heads:
                continue
            largest = int(labels[labels != _IGNORED].max()) if (labels != _IGNORED).any() else 0
            if largest >= min(heads.values()):
                section.error(
                    f'the batch has a {kind} of label {largest}, the student has labels 0 ... '
                    f'{min(heads.values()) - 1}; set num_classes or correct the labels'
                )
                return


def examine(context: Context, section: Section) -> None:
    """Build the model of the config and compare its classes with the data."""
    model = MODELS.build(context.cfg.model)
    context.model = model.to(context.device)
    rows = []
    for role, model in dict(student=context.student, **context.teachers).items():
        rows.append([role, ' / '.join(_types(model)), f'{_size(model) / 1e6:.3g} M'])
        section.data[role] = dict(type=_types(model), parameters=_size(model))
    if context.distils:
        distiller = context.model.distiller
        learned = _size(distiller)
        rows.append(['distiller', type(distiller).__name__, f'{number(learned / 1e6)} M'])
        section.data['distiller'] = dict(type=type(distiller).__name__, parameters=learned)
        if not context.teachers:
            section.note('there is no teacher network: its predictions come from files')
    else:
        section.note('this is a plain model: nothing is distilled, only the training is checked')
    for line in table(['', 'type', 'parameters'], rows):
        section.add(line)
    _check_classes(context, section)
