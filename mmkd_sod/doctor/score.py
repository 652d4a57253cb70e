"""The teacher's score on a few validation images, beside that of an untrained network."""
import copy
import time

import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel

from mmkd_sod.models.builder import build_model
from mmkd_sod.models.teachers.group import is_named

from .context import Context, describe_error
from .data import spread
from .models import classes_of
from .report import Section, number, table

NAME, TITLE, NEEDS = 'score', 'Score on validation images', ('weighed', 'val_set')

# Higher is better, 1 is perfect; the first that a metric's name ends with decides.
DECIDING = ('bbox_mAP', 'segm_mAP', 'mAP', 'mIoU', 'Smeasure', 'mDice', 'mFscore')
_PERCENT = ('mIoU', 'mDice', 'mFscore')
# How much of the way from an untrained network to a perfect one a teacher has to be.
RANDOM, WEAK = 0.02, 0.1
# Seconds after which no further image is scored.
BUDGET = 12.


def deciding(metrics: dict) -> tuple | None:
    """Name and value in [0, 1] of the metric that decides; None where no known one is there."""
    for ending in DECIDING:
        for name, value in metrics.items():
            if name.split('/')[-1] == ending and value == value and value >= 0:
                return name, value / 100 if ending in _PERCENT else value
    return None


def build_evaluator(context: Context, images: list | None = None) -> Evaluator:
    """The config's validation metrics, without the files they would write.

    Args:
        context (Context): With ``val_set``.
        images (list, optional): Ids of the images that COCO's metric counts; others have ground
            truth in its annotation file, too.
    """
    cfg = copy.deepcopy(context.cfg.val_evaluator)
    for metric in cfg if isinstance(cfg, (list, tuple)) else [cfg]:
        for key in ('outfile_prefix', 'output_dir', 'out_dir', 'out_file_path'):
            metric.pop(key, None)
    evaluator = Evaluator(cfg)
    evaluator.dataset_meta = context.val_set.metainfo
    for metric in evaluator.metrics:
        if images and hasattr(metric, 'img_ids') and hasattr(metric, '_coco_api'):
            metric.img_ids = images
    return evaluator


@torch.no_grad()
def evaluate(model: BaseModel, context: Context, numbers: list, budget: float = BUDGET) -> dict:
    """Metrics of a model on some validation images, as a validation run has them.

    Args:
        model (BaseModel): In eval mode afterwards.
        context (Context): With ``val_set``.
        numbers (list[int]): The images.
        budget (float): Seconds; once spent, no further image begins, but one is always done.

    Returns:
        dict: ``metrics``, ``numbers`` (the images that were done) and ``seconds`` an image.
    """
    model.eval()
    done, batches, began = [], [], time.perf_counter()
    for i in numbers:
        data = pseudo_collate([context.val_set[i]])
        batches.append((data, model.val_step(data)))
        done.append(i)
        if time.perf_counter() - began > budget:
            break
    seconds = (time.perf_counter() - began) / len(done)
    ids = [sample.metainfo.get('img_id') for _, samples in batches for sample in samples]
    evaluator = build_evaluator(context, None if None in ids else ids)
    for data, samples in batches:
        evaluator.process(data_samples=samples, data_batch=data)
    metrics = evaluator.evaluate(len(done))
    metrics = {name: float(value) for name, value in metrics.items()
               if isinstance(value, (int, float)) or getattr(value, 'ndim', 1) == 0}
    return dict(metrics=metrics, numbers=done, seconds=seconds)


def _twin(context: Context, name: str) -> BaseModel | None:
    """A teacher's network with random weights; None for one that was handed over built."""
    cfg = context.cfg.model.get('teacher')
    cfg = cfg[name] if is_named(cfg) else cfg
    if not isinstance(cfg, dict):
        return None
    with torch.random.fork_rng(devices=[]):
        return build_model(cfg, 'teacher').to(context.device)


def _reason_against(context: Context, name: str, teacher: BaseModel) -> str:
    """Why a teacher has no score on the student's validation data; empty where it has one."""
    own = context.model._teachers.inputs[name] if hasattr(context.model, '_teachers') else None
    if own is not None and own.view is not None:
        return 'sees another view than the student'
    names = (getattr(context.val_set, 'metainfo', None) or {}).get('classes') or ()
    if any(count != len(names) for count in classes_of(teacher).values()):
        return 'tells other classes apart than the data'
    return ''


def judge(teacher: dict, untrained: dict, section: Section, label: str = 'teacher') -> None:
    """Call out a teacher that is no better than its untrained twin, or hardly."""
    if not teacher:
        section.error(f'the {label} gives no prediction on any of these images, as an untrained '
                      'network would; give teacher_ckpt of a trained teacher')
        return
    mine, other = deciding(teacher), deciding(untrained)
    if mine is None or (untrained and other is None):
        section.note('none of the metrics is one that says how good a teacher is; compare the two '
                     'columns')
        return
    name, score = mine
    # COCO's metric gives nothing for a network that predicts nothing.
    chance = other[1] if other else 0.
    gain = (score - chance) / max(1 - chance, 1e-6)
    section.data.setdefault('judged', {})[label] = dict(metric=name, gain=gain)
    if gain < RANDOM:
        section.error(
            f'the {label} is no better than a random one: {name} {score:.3f}, untrained network '
            f'{chance:.3f}; give teacher_ckpt of a trained teacher and check its classes and '
            'normalisation')
    elif gain < WEAK:
        section.warn(f'the {label} is weak: {name} {score:.3f}, untrained network {chance:.3f}; '
                     'a student rarely gains from such a teacher')


def examine(context: Context, section: Section) -> None:
    """Score teacher, untrained twin and student; the student's run shows that validation works."""
    if not context.cfg.get('val_evaluator'):
        section.error('the config has a val_dataloader and no val_evaluator; give one')
        return
    numbers = spread(len(context.val_set), context.images)
    results, pairs = {}, {}
    for name, teacher in getattr(context.model, 'teachers', {}).items():
        label = context.label(name)
        reason = _reason_against(context, name, teacher)
        if reason:
            section.note(f'the {label} {reason}, so that it has no score here')
            continue
        results[label] = evaluate(teacher, context, numbers)
        numbers = results[label]['numbers']
        twin = _twin(context, name)
        if twin is not None:
            pairs[label] = f'untrained {name}'.strip()
            results[pairs[label]] = evaluate(twin, context, numbers)
    try:
        results['student'] = evaluate(context.student, context, numbers)
        context.image_seconds = results['student']['seconds']
    except Exception as error:  # the run's first validation would end with it
        section.error(f'the validation of the student fails: {describe_error(error)}')
    finally:
        context.model.train()
    columns = {role: result['metrics'] for role, result in results.items()}
    section.data.update(images=len(numbers), metrics=columns, seconds_an_image={
        role: result['seconds'] for role, result in results.items()})
    shown = list(dict.fromkeys(name for column in columns.values() for name in column))[:6]
    section.say(f'{len(numbers)} of {len(context.val_set):,} images, spread over the set; the student '
                'is not trained yet')
    for line in table(['', *columns], [
            [name, *(number(column[name]) if name in column else '-'
                     for column in columns.values())] for name in shown]):
        section.say(line)
    silent = [role for role, column in columns.items() if not column]
    if silent:
        section.say(f"no prediction yet of: {', '.join(silent)}")
    for label, twin in pairs.items():
        judge(columns[label], columns[twin], section, label)
