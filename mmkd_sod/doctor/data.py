"""Section on the data: counts, classes, missing files and one training batch."""

import os.path as osp
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.runner import IterBasedTrainLoop, Runner

from mmkd_sod.engine.checks import check_data
from mmkd_sod.engine.hooks.shared_memory_hook import loader_fault

from .batches import images_of, label_maps, samples_of
from .context import Context, metainfo
from .label_maps import describe_label_maps, describe_padding
from .models import check_classes
from .report import Section

NAME, TITLE, NEEDS = 'data', 'Data', ()

# Maximum number of images whose annotations and files are checked.
SAMPLE = 5000
# Keys of a data set's record that hold a file.
_FILES = ('img_path', 'seg_map_path', 'depth_path')


def spread(length: int, count: int) -> list:
    """Return up to ``count`` evenly spaced indices below ``length``, including first and last."""
    return sorted({int(i) for i in np.linspace(0, length - 1, min(count, length)).round()})


def _records(dataset) -> list:
    return [dataset.get_data_info(i) for i in spread(len(dataset), SAMPLE)]


def _count_boxes(records: list, classes: tuple) -> dict:
    """Return the number of boxes per class; labels without a class by their index."""
    counts = dict.fromkeys(classes, 0)
    for record in records:
        for instance in record.get('instances', ()):
            label = instance.get('bbox_label')
            if label is not None and not instance.get('ignore_flag'):
                name = classes[label] if 0 <= label < len(classes) else str(label)
                counts[name] = counts.get(name, 0) + 1
    return counts


def _describe(dataset, where: str, section: Section) -> dict:
    """Count the images and boxes of a data set and check its files."""
    classes = tuple(metainfo(dataset).get('classes') or ())
    found = dict(images=len(dataset), classes=list(classes))
    if not len(dataset):
        section.error(f'{where}: the data set is empty; check ann_file, data_prefix and filter_cfg')
        return found
    records = _records(dataset) if hasattr(dataset, 'get_data_info') else []
    line = f'{where}: {len(dataset):,} images, {len(classes)} classes'
    if any('instances' in record for record in records):
        counts = _count_boxes(records, classes)
        sampled = '' if len(records) == len(dataset) else f' on {len(records):,} of the images'
        line += f', {sum(counts.values()):,} boxes{sampled}'
        section.add(line)
        if len(counts) <= 20:
            section.add('    ' + ', '.join(f'{name} {count:,}' for name, count in counts.items()))
        empty = [name for name, count in counts.items() if not count]
        if empty and not sampled:
            # A validation set may lack a rare class, but a training set should not.
            report = (
                section.error
                if len(empty) == len(counts)
                else section.warn
                if where == 'train'
                else section.note
            )
            report(
                f'{where}: {len(empty)} of {len(classes)} classes have no box '
                f'({", ".join(empty[:5])}); check that metainfo.classes has the names of the '
                'annotation file'
            )
        found['boxes'] = counts
    else:
        section.add(line)
    missing = [
        record[key]
        for record in records
        for key in _FILES
        if isinstance(record.get(key), str)
        and '://' not in record[key]
        and not osp.isfile(record[key])
    ]
    if missing:
        section.error(
            f"{where}: {len(missing)} files do not exist, first '{missing[0]}'; add them "
            'or correct data_prefix'
        )
    found['missing_files'] = len(missing)
    found['paths'] = {
        osp.realpath(record['img_path'])
        for record in records
        if isinstance(record.get('img_path'), str)
    }
    return found


def _labels(batch) -> dict:
    """Return the shapes of a training batch's inputs and the counts of its labels."""
    images, samples = images_of(batch), samples_of(batch)
    shapes = sorted({tuple(image.shape) for image in images})
    found = dict(images=len(images), shapes=[list(shape) for shape in shapes])
    boxes = [sample.gt_instances for sample in samples if 'gt_instances' in sample]
    maps = label_maps(samples)
    labels = torch.cat([instances.labels for instances in boxes]) if boxes else None
    if maps:
        labels = torch.cat([label.flatten() for label in maps])
    if labels is not None and not labels.is_floating_point():
        values, counts = labels.unique(return_counts=True)
        found['labels'] = dict(zip(values.tolist(), counts.tolist(), strict=True))
        found['of'] = 'boxes' if boxes else 'pixels'
    return found


def _build(context: Context, name: str, section: Section):
    """Return the training loader, or a loader's data set, of the run; None on failure."""
    loader = context.cfg.get(name)
    if not loader:
        return None
    train = name == 'train_dataloader'
    try:
        check_data(context.cfg, [name])
        if context.runner is not None:
            loop = context.runner.train_loop if train else context.runner.val_loop
            return loop.dataloader if train else loop.dataloader.dataset
        # The data are examined even where the Runner could not be built.
        seed = (context.cfg.get('randomness') or {}).get('seed')
        built = Runner.build_dataloader(loader, seed=seed)
        return built if train else built.dataset
    except Exception as error:  # the run would end with the same error
        text = context.describe(error)
        section.error(text if text.startswith(name) else f'{name}: {text}')
        return None


def _batches(context: Context) -> Iterator:
    """Return the iterator of the training batches.

    Infinite samplers cannot be iterated again once an iterator of theirs has been closed, so that
    the one of an iteration-based run is shared with it, and any other is kept.
    """
    loop = None if context.runner is None else context.runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        return iter(loop.dataloader_iterator)
    return iter(context.train_loader)


def _compare_classes(section: Section) -> None:
    """Report data sets of different classes; metrics need the names of all labels of the model."""
    train, val = (section.data[name]['classes'] for name in ('train', 'val'))
    if train == val:
        return
    text = (
        f'train and val have different classes, {len(train)} and {len(val)}; set the same '
        'metainfo for both'
    )
    if train and val[: len(train)] == train:
        section.warn(f'{text}, since scores include classes that are not trained')
    else:
        section.error(text)


def examine(context: Context, section: Section) -> None:
    """Build both data sets as the run does, count their content and load one training batch."""
    if not context.cfg.get('train_dataloader'):
        section.error('the config has no train_dataloader; give a config that trains')
    context.train_loader = _build(context, 'train_dataloader', section)
    context.val_set = _build(context, 'val_dataloader', section)
    # Not `if context.train_loader`, since an empty loader is false.
    train = None if context.train_loader is None else context.train_loader.dataset
    sets = dict(train=train, val=context.val_set)
    paths = {}
    for name, dataset in sets.items():
        if dataset is not None:
            section.data[name] = _describe(dataset, name, section)
            describe_label_maps(dataset, name, context.model, section)
            paths[name] = section.data[name].pop('paths', set())
    if len(paths) == 2:
        _compare_classes(section)
        shared = len(paths['train'] & paths['val'])
        if shared:
            section.warn(
                f'{shared} of the {len(paths["val"])} validation images are also training '
                'images, so that scores do not measure generalisation; split the data'
            )
    if context.train_loader is None:
        return
    if not len(context.train_loader):
        section.error(
            f'the training loader has no batches: {len(sets["train"])} images are fewer '
            'than batch_size, and drop_last drops them; reduce batch_size'
        )
        return
    if fault := loader_fault(context.train_loader, 'train_dataloader'):
        section.error(fault)
        return
    context.batches = _batches(context)
    context.batch = next(context.batches)
    if not isinstance(context.batch, dict):
        context.batch = pseudo_collate([context.batch])
    found = section.data['batch'] = _labels(context.batch)
    section.add(
        f'batch: {found["images"]} images of '
        + ', '.join('x'.join(map(str, shape)) for shape in found['shapes'][:3])
        + (' ...' if len(found['shapes']) > 3 else '')
        + f', {len(context.train_loader):,} batches per epoch'
    )
    describe_padding(images_of(context.batch), section)
    if 'labels' in found and len(found['labels']) <= 20:
        total = sum(found['labels'].values())
        section.add(
            f'    {found["of"]} by label: '
            + ', '.join(f'{label}: {count / total:.1%}' for label, count in found['labels'].items())
        )
    if context.model is not None:
        check_classes(context, section)
