"""Section on scores: teacher and untrained network on a few validation images."""

import copy
import os.path as osp
import time

import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.teachers.group import is_named

from .context import Context, metainfo
from .data import spread
from .models import classes_of
from .report import Section, number, table
from .teacher_loss import initialise, is_labelled, judge_losses, task_loss

NAME, TITLE, NEEDS = 'score', 'Score on validation images', ('weights_loaded',)

# Metrics that measure the quality of a teacher, higher is better, in order of preference.
PRIMARY = ('bbox_mAP', 'segm_mAP', 'mAP', 'mIoU', 'Smeasure', 'mDice', 'mFscore')
_PERCENT = ('mIoU', 'mDice', 'mFscore')
# Limits of a teacher's gain over an untrained network, relative to a perfect score.
RANDOM, WEAK = 0.02, 0.1
# Seconds after which no further image is scored.
BUDGET = 12.0


def primary_metric(metrics: dict) -> tuple | None:
    """Return name and value in [0, 1] of the primary metric, or None if none is known."""
    for ending in PRIMARY:
        for name, value in metrics.items():
            if name.split('/')[-1] == ending and value == value and value >= 0:
                return name, value / 100 if ending in _PERCENT else value
    return None


def _metrics(context: Context) -> list:
    """Return the configs of the validation metrics."""
    cfg = context.cfg.val_evaluator
    return list(cfg) if isinstance(cfg, (list, tuple)) else [cfg]


def build_evaluator(context: Context, images: list | None = None) -> Evaluator:
    """Build the validation metrics of the config, whose output files go to a temporary folder.

    Args:
        context (Context): Context with ``val_set``.
        images (list, optional): Ids of the scored images, to which COCO's metric is restricted.
    """
    cfg = copy.deepcopy(_metrics(context))
    for metric in cfg:
        for key in ('outfile_prefix', 'output_dir', 'out_dir', 'out_file_path'):
            if metric.get(key) is not None:
                suffix = '.pkl' if key == 'out_file_path' else ''
                metric[key] = osp.join(context.work_dir, f'scored{suffix}')
    evaluator = Evaluator(cfg)
    evaluator.dataset_meta = metainfo(context.val_set)
    for metric in evaluator.metrics:
        if images and hasattr(metric, 'img_ids') and hasattr(metric, '_coco_api'):
            metric.img_ids = images
    return evaluator


def _check_masks(evaluator: Evaluator, samples: list) -> None:
    """Refuse COCO's metric of masks for a model without them, which fails with the first box."""
    from mmdet.evaluation import CocoMetric

    wanted = [m for m in evaluator.metrics if isinstance(m, CocoMetric) and 'segm' in m.metrics]
    found = [sample.pred_instances for sample in samples if 'pred_instances' in sample]
    if wanted and any('masks' not in instances for instances in found):
        raise ConfigError(
            f"val_evaluator: {type(wanted[0]).__name__} measures 'segm', but the model predicts no "
            "masks; use metric='bbox', or a model with a mask head"
        )


@torch.no_grad()
def evaluate(model: BaseModel, context: Context, numbers: list, budget: float = BUDGET) -> dict:
    """Return the validation metrics of a model on some images.

    Args:
        model (BaseModel): The model; it is left in eval mode.
        context (Context): Context with ``val_set``.
        numbers (list[int]): Indices of the images.
        budget (float): Seconds after which no further image is scored, except the first.

    Returns:
        dict: ``metrics``, ``numbers`` (indices of the scored images) and ``seconds`` per image.
    """
    model.eval()
    done, batches, start = [], [], time.perf_counter()
    for i in numbers:
        data = pseudo_collate([context.val_set[i]])
        batches.append((data, model.val_step(data)))
        done.append(i)
        if time.perf_counter() - start > budget:
            break
    seconds = (time.perf_counter() - start) / len(done)
    ids = [sample.metainfo.get('img_id') for _, samples in batches for sample in samples]
    evaluator = build_evaluator(context, None if None in ids else ids)
    for data, samples in batches:
        _check_masks(evaluator, samples)
        evaluator.process(data_samples=samples, data_batch=data)
    metrics = evaluator.evaluate(len(done))
    metrics = {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, (int, float)) or getattr(value, 'ndim', 1) == 0
    }
    return dict(metrics=metrics, numbers=done, seconds=seconds)


def _untrained(context: Context, name: str) -> BaseModel | None:
    """Return a teacher's network with random weights, or None if the config has a built one."""
    cfg = context.cfg.model.get('teacher')
    cfg = cfg[name] if is_named(cfg) else cfg
    if not isinstance(cfg, dict):
        return None
    with torch.random.fork_rng(devices=[]):
        return build_model(cfg, 'teacher').to(context.device)


def _reason_against(context: Context, name: str, teacher: BaseModel) -> str:
    """Return why a teacher cannot be scored on the student's validation data, or ''."""
    own = context.model.teacher_group.inputs[name]
    if own is not None and own.view is not None:
        return 'has another input view than the student'
    dataset = context.train_loader.dataset if context.val_set is None else context.val_set
    names = metainfo(dataset).get('classes') or ()
    if any(count != len(names) for count in classes_of(teacher).values()):
        return 'has other classes than the data'
    return ''


def judge(teacher: dict, untrained: dict, section: Section, label: str = 'teacher') -> None:
    """Report a teacher that is not, or hardly, better than an untrained network.

    Args:
        teacher (dict): Metrics of the teacher.
        untrained (dict): Metrics of the untrained network.
        section (Section): Gets the finding.
        label (str): Label of the teacher.
    """
    if not teacher:
        section.error(
            f'the {label} predicts nothing on these images, like an untrained network; '
            'set teacher_ckpt to a trained teacher'
        )
        return
    own, other = primary_metric(teacher), primary_metric(untrained)
    if own is None or (untrained and other is None):
        section.note('the metrics have no known primary metric; compare the two columns')
        return
    name, score = own
    # COCO's metric is empty without predictions.
    chance = other[1] if other else 0.0
    gain = (score - chance) / max(1 - chance, 1e-6)
    section.data.setdefault('judged', {})[label] = dict(metric=name, gain=gain)
    if gain < RANDOM:
        section.error(
            f'the {label} is no better than a random one: {name} {score:.3f}, untrained network '
            f'{chance:.3f}; set teacher_ckpt to a trained teacher, and check its classes and '
            'normalisation'
        )
    elif gain < WEAK:
        section.warn(
            f'the {label} is weak: {name} {score:.3f}, untrained network {chance:.3f}; '
            'students rarely gain from such a teacher; train it longer'
        )


def _compare_losses(context: Context, section: Section) -> None:
    """Compare the losses of teachers and untrained networks, where there are no scores."""
    for name, frozen in context.frozen_teachers.items():
        label, untrained = context.label(name), _untrained(context, name)
        reason = _reason_against(context, name, frozen.module)
        if reason or untrained is None:
            section.note(f'the {label} {reason or "has no config"}, so that it is not judged')
            continue
        models = (frozen.module, initialise(untrained))
        losses = [task_loss(model, context.batch) for model in models]
        judge_losses(losses[0], losses[1], section, label)


def examine(context: Context, section: Section) -> None:
    """Score teachers, untrained networks and the student, whose score tests the validation."""
    if context.val_set is None:
        if not context.frozen_teachers or not is_labelled(context.batch):
            section.skip('there are no validation data')
        else:
            _compare_losses(context, section)
        return
    if not context.cfg.get('val_evaluator'):
        section.error('the config has a val_dataloader but no val_evaluator; add one')
        return
    numbers = spread(len(context.val_set), context.images)
    results, pairs = {}, {}
    for name, frozen in context.frozen_teachers.items():
        label, teacher = context.label(name), frozen.module
        reason = _reason_against(context, name, teacher)
        if reason:
            section.note(f'the {label} {reason}, so that it is not scored')
            continue
        results[label] = evaluate(teacher, context, numbers)
        numbers = results[label]['numbers']
        untrained = _untrained(context, name)
        if untrained is not None:
            pairs[label] = f'untrained {name}'.strip()
            results[pairs[label]] = evaluate(untrained, context, numbers)
    try:
        results['student'] = evaluate(context.student, context, numbers)
        context.image_seconds = results['student']['seconds']
    except Exception as error:  # the first validation of the run would end with the same error
        section.error(f'the validation of the student fails: {context.describe(error)}')
    finally:
        context.model.train()
    columns = {role: result['metrics'] for role, result in results.items()}
    section.data.update(
        images=len(numbers),
        metrics=columns,
        seconds_an_image={role: result['seconds'] for role, result in results.items()},
    )
    shown = list(dict.fromkeys(name for column in columns.values() for name in column))[:6]
    section.add(
        f'{len(numbers)} of {len(context.val_set):,} images, evenly spaced; the student is '
        'not trained'
    )
    for line in table(
        ['', *columns],
        [
            [
                name,
                *(number(column[name]) if name in column else '-' for column in columns.values()),
            ]
            for name in shown
        ],
    ):
        section.add(line)
    empty = [role for role, column in columns.items() if not column]
    if empty:
        section.add(f'no predictions: {", ".join(empty)}')
    if any(metric.get('format_only') for metric in _metrics(context)):
        section.note('the metrics write files only (format_only=True), so that nothing is scored')
        return
    for label, untrained in pairs.items():
        judge(columns[label], columns[untrained], section, label)
