"""Section on the models: the Runner that training uses, which builds them, and their sizes."""

from typing import Any

from mmengine.model import BaseModel
from torch import nn

from .batches import label_maps, samples_of
from .context import Context, metainfo
from .report import Section, number, table
from .trial import build_trial_runner

NAME, TITLE, NEEDS = 'models', 'Models', ()

# Label of ignored pixels in models without decode heads.
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


def check_classes(context: Context, section: Section) -> None:
    """Compare the student's classes with those of the data and the labels of the first batch."""
    heads = classes_of(context.student)
    section.data['classes'] = heads
    dataset = context.val_set if context.train_loader is None else context.train_loader.dataset
    names: Any = metainfo(dataset).get('classes')
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
    if context.batch is None or not heads:
        return
    ignored = _ignored_labels(context.student)
    samples = samples_of(context.batch)
    for kind, tensors in (
        ('box', [sample.gt_instances.labels for sample in samples if 'gt_instances' in sample]),
        ('pixel', label_maps(samples)),
    ):
        labels = {
            int(label)
            for tensor in tensors
            if not tensor.is_floating_point()
            for label in tensor.unique()
        }
        if kind == 'pixel':
            labels -= ignored
        if labels and max(labels) >= min(heads.values()):
            section.error(
                f'the batch has a {kind} of label {max(labels)}, the student has labels 0 ... '
                f'{min(heads.values()) - 1}'
                + (f' and ignores {sorted(ignored)}' if kind == 'pixel' and ignored else '')
                + '; set num_classes or correct the labels'
            )
            return


def _ignored_labels(model: BaseModel) -> set[int]:
    """Return the labels of pixels that all decode heads of a model ignore."""
    found = [
        {int(module.ignore_index)}
        for module in model.modules()
        if isinstance(getattr(module, 'ignore_index', None), int) and hasattr(module, 'num_classes')
    ]
    return set.intersection(*found) if found else {_IGNORED}


def examine(context: Context, section: Section) -> None:
    """Build the Runner of the config, and with it the model."""
    context.runner = build_trial_runner(context.cfg, context.work_dir)
    context.model = context.runner.model
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
