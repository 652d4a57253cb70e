"""Section on weights: which share of teacher and student was loaded, and from where."""

from collections.abc import Sequence
from functools import partial

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.utils.checkpoint import read_checkpoint

from .context import Context, metainfo
from .report import Section, table

NAME, TITLE, NEEDS = 'weights', 'Weights', ('model',)
_HEADER = ['', 'module', 'loaded', 'of', 'from']


def _counted(state: dict) -> dict:
    # Counters of batch norm do not affect outputs and are missing in old checkpoints.
    return {key: value for key, value in state.items() if not key.endswith('num_batches_tracked')}


def count_loaded(state: dict, loaded: set) -> dict:
    """Count the loaded weights of each top-level module of a model.

    Args:
        state (dict): State dict of the model.
        loaded (set[str]): Names that were loaded.

    Returns:
        dict: Name of the module to (number of loaded values, number of values).
    """
    found: dict = {}
    for key, value in _counted(state).items():
        name = key.split('.')[0]
        got, of = found.get(name, (0, 0))
        found[name] = got + value.numel() * (key in loaded), of + value.numel()
    return found


def _rows(role: str, parts: dict, source: str) -> list:
    return [
        [
            role if i == 0 else '',
            name,
            f'{got / max(of, 1):.0%}',
            f'{of:,}',
            source if got else 'random',
        ]
        for i, (name, (got, of)) in enumerate(parts.items())
    ]


def _share(parts: dict) -> float:
    return sum(got for got, _ in parts.values()) / max(sum(of for _, of in parts.values()), 1)


def _teacher(context: Context, name: str, section: Section) -> list:
    """Load a teacher as a run does and count its loaded weights."""
    frozen, label = context.frozen_teachers[name], context.label(name)
    path = frozen.ckpt
    before = {key: value.shape for key, value in frozen.module.state_dict().items()}
    given, meta = read_checkpoint(path, f'DenseDistill: {label}_ckpt') if path else ({}, {})
    loaded = {key for key, shape in before.items() if key in given and given[key].shape == shape}
    parts = count_loaded(frozen.module.state_dict(), loaded)
    epoch = meta.get('epoch')
    section.data[label] = dict(checkpoint=path, epoch=epoch, share=_share(parts), parts=parts)
    frozen.load()
    if not loaded and not frozen.trusted:
        section.error(
            f'the {label} is random: none of its weights was loaded'
            + (f" ('{path}' has other names)" if path else ' (teacher_ckpt is None)')
            + '; a student learns nothing from it; set teacher_ckpt'
        )
    elif _share(parts) < 1 and not frozen.trusted:
        incomplete = [name for name, (got, of) in parts.items() if got < of]
        section.warn(
            f"the {label}'s {', '.join(incomplete)} stays partly random, as "
            'teacher_allow_missing permits'
        )
    classes = (meta.get('dataset_meta') or {}).get('classes')
    ours = metainfo(context.val_set).get('classes')
    if classes and ours and list(classes) != list(ours):
        section.warn(
            f"the {label}'s checkpoint was trained on the classes {_some(classes)}, the "
            f'data have {_some(ours)}; check that they are the same classes'
        )
    return _rows(label, parts, f'{path}{"" if epoch is None else f", epoch {epoch}"}')


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:4]) + (f', ... ({len(names)})' if len(names) > 4 else '')


def _pretrained(model: nn.Module) -> list:
    """Return the names of modules with a pretrained checkpoint, its path and its prefix."""
    found = []
    for name, module in model.named_modules():
        cfgs = getattr(module, 'init_cfg', None) or ()
        for cfg in [cfgs] if isinstance(cfgs, dict) else cfgs:
            if cfg.get('type') == 'Pretrained':
                found.append((name, cfg['checkpoint'], cfg.get('prefix')))
    return found


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a.cpu().float(), b.cpu().float())


def _student(context: Context, section: Section) -> list:
    """Initialise the student as a run does and count its loaded weights."""
    student: BaseModel = context.student
    sources = _pretrained(student)
    context.model.init_weights()
    loaded, places = set(), []
    for name, path, prefix in sources:
        state = student.get_submodule(name).state_dict() if name else student.state_dict()
        given, _ = read_checkpoint(path, f'{name or "student"}.init_cfg')
        if prefix:
            cut = prefix.rstrip('.') + '.'
            given = {key[len(cut) :]: value for key, value in given.items() if key.startswith(cut)}
        hits = {key for key, value in state.items() if key in given and _equal(value, given[key])}
        if not hits:
            section.warn(
                f"nothing of '{path}' was loaded into the student's {name}; names or "
                'shapes differ; use another checkpoint or prefix'
            )
        loaded |= {f'{name}.{key}' if name else key for key in hits}
        places.append(path)
    path = context.cfg.get('load_from')
    if path:
        given, _ = read_checkpoint(path, 'load_from')
        state = student.state_dict()
        fitting = {
            key: value
            for key, value in given.items()
            if key in state and state[key].shape == value.shape
        }
        student.load_state_dict(fitting, strict=False)
        loaded |= fitting.keys()
        places.append(path)
        if not fitting:
            section.error(
                f"nothing of load_from='{path}' fits the student; set load_from to a "
                'checkpoint of this student'
            )
    parts = count_loaded(student.state_dict(), loaded)
    section.data['student'] = dict(checkpoints=places, share=_share(parts), parts=parts)
    if context.cfg.get('resume'):
        section.note('the run would resume; it is checked as a new run')
    return _rows('student', parts, ', '.join(places))


def examine(context: Context, section: Section) -> None:
    """Load all weights as a run does before its first step."""
    rows, failed = [], False
    # mmrazor's own algorithms load their teacher while they are built.
    jobs = [partial(_teacher, context, name, section) for name in context.frozen_teachers]
    for job in (*jobs, partial(_student, context, section)):
        try:
            rows += job()
        except Exception as error:  # the run would end with the same error
            section.error(context.describe(error))
            failed = True
            break
    for line in table(_HEADER, rows) if rows else ():
        section.add(line)
    context.weights_loaded = True if not failed else None
