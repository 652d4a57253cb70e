"""Checks of COCO annotation files and class names before a run."""

import logging
import os.path as osp
from collections.abc import Mapping, Sequence

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from mmkd_sod.datasets.coco_check import compare_classes, examine_file, few
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.checkpoint import read_checkpoint

# Said once per process: the same file is checked for training, pictures and reports.
_said: set[str] = set()


def _warn(text: str) -> None:
    if text not in _said:
        _said.add(text)
        print_log(text, logger='current', level=logging.WARNING)


def _coco_class(dataset: Mapping, scope: str | None) -> type[BaseDataset] | None:
    """Return the class of a data set that reads COCO as mmdet's ``CocoDataset``, else None."""
    kind = dataset.get('type')
    if osp.splitext(str(dataset.get('ann_file') or ''))[1] != '.json':
        return None
    with DATASETS.switch_scope_and_registry(scope) as registry:
        found = registry.get(kind) if isinstance(kind, str) else kind
    if found is None:
        return None
    names = {f'{parent.__module__}.{parent.__name__}' for parent in found.__mro__}
    if 'mmdet.datasets.coco.CocoDataset' not in names:
        return None
    from mmdet.datasets import CocoDataset

    # Others, such as LVIS, number the classes in their own way.
    return found if found.load_data_list is CocoDataset.load_data_list else None


def classes_of(dataset: Mapping, kind: type[BaseDataset]) -> Sequence[str]:
    """Return the class names of a data set config without building it."""
    metainfo = dataset.get('metainfo')
    found = kind._load_metainfo(dict(metainfo) if metainfo else None)
    return tuple(found.get('classes') or ())


def check_annotations(dataset: Mapping, where: str, scope: str | None = None) -> None:
    """Check the boxes and class names of a data set that mmdet's ``CocoDataset`` reads.

    Args:
        dataset (Mapping): Its config.
        where (str): Key of the data set, for messages.
        scope (str, optional): The config's ``default_scope``.

    Raises:
        DataError: Boxes are NaN, identifiers are not unique, most annotations cannot be used, or
            labels would have the wrong names. Other faults are logged with counts.
    """
    kind = _coco_class(dataset, scope)
    if kind is None:
        return
    path = osp.join(dataset.get('data_root') or '', dataset['ann_file'])
    _check_file(path, classes_of(dataset, kind), where)


def _check_file(path: str, classes: Sequence[str], where: str) -> None:
    found = examine_file(path)
    if found is None:
        return
    told = f"{where}: annotation file '{path}'"
    for finding in found.findings:
        if finding.fatal:
            raise DataError(
                f'{told}: of {found.annotations:,} annotations, {finding}; training on it is '
                'meaningless; correct the file'
            )
        _warn(f'{told}: {finding}')
    if not classes:
        return
    fault, note = compare_classes(classes, found.categories)
    if fault:
        raise DataError(
            f'{told}: {fault}; set {where}.metainfo.classes to names of the json in its order'
        )
    if note:
        _warn(f'{told} {note}')


def check_evaluator(cfg: Config, loader: str) -> None:
    """Check the annotation file of a loader's evaluator against the classes of its data set."""
    evaluator = cfg.get(loader.replace('_dataloader', '_evaluator'))
    dataset = (cfg.get(loader) or {}).get('dataset')
    if not isinstance(evaluator, dict) or not isinstance(dataset, dict):
        return
    path = evaluator.get('ann_file')
    kind = _coco_class(dataset, cfg.get('default_scope'))
    if kind is not None and isinstance(path, str) and osp.isfile(path):
        where = loader.replace('_dataloader', '_evaluator')
        _check_file(path, classes_of(dataset, kind), where)


def check_teacher_classes(cfg: Config, classes: Sequence[str]) -> None:
    """Compare the class names in the teacher's checkpoint with those of the training data.

    Args:
        cfg (Config): The config of a distillation; others are not checked.
        classes (Sequence[str]): Names of the training data, in the order of their labels.

    Raises:
        ConfigError: The names are the same in another order, and no ``class_mapping`` is set.
    """
    model = cfg.get('model') or {}
    given = model.get('teacher_ckpt')
    mapped = (model.get('distiller') or {}).get('class_mapping') is not None
    for path in given.values() if isinstance(given, dict) else [given]:
        if not isinstance(path, str) or not osp.isfile(path) or not classes or mapped:
            continue
        meta = read_checkpoint(path, 'DenseDistill: teacher_ckpt')[1]
        theirs = tuple((meta.get('dataset_meta') or {}).get('classes') or ())
        if not theirs or theirs == tuple(classes):
            continue
        if set(theirs) == set(classes):
            raise ConfigError(
                f"teacher_ckpt '{path}' has the classes in the order {few(theirs)}, the data "
                f'{few(classes)}; give both the same order, or set distiller.class_mapping'
            )
        absent = [name for name in classes if name not in theirs]
        _warn(
            f"teacher_ckpt '{path}' was trained on the classes {few(theirs)}, the data have "
            f'{few(classes)}' + (f'; it does not know {few(absent)}' if absent else '')
        )
