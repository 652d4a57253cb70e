"""Checks of a config's data before a run."""

import os.path as osp
from collections.abc import Iterator, Sequence

from mmengine.config import Config

from mmkd_sod.errors import DataError

from .annotation_checks import check_annotations, check_evaluator


def datasets_within(dataset: dict, where: str) -> Iterator[tuple[dict, str]]:
    """Yield a data set config and its key, or those inside wrappers such as ConcatDataset."""
    if isinstance(dataset.get('dataset'), dict):
        yield from datasets_within(dataset['dataset'], f'{where}.dataset')
    elif isinstance(dataset.get('datasets'), (list, tuple)):
        for i, inner in enumerate(dataset['datasets']):
            yield from datasets_within(inner, f'{where}.datasets.{i}')
    else:
        yield dataset, where


def check_data(
    cfg: Config, loaders: Sequence[str] = ('train_dataloader', 'val_dataloader')
) -> None:
    """Refuse a config whose annotation files or image folders do not exist.

    All data sets are checked before any of them is built. Remote data (``backend_args``) is not
    checked.

    Args:
        cfg (Config): The whole config.
        loaders (Sequence[str]): Keys of the data loaders to check.

    Raises:
        DataError: A file or folder is missing, an annotation file is a pickle, or a COCO json has
            boxes, identifiers or class names with which training is meaningless.
    """
    for name in loaders:
        loader = cfg.get(name)
        if not loader or not isinstance(loader.get('dataset'), dict):
            continue
        for dataset, where in datasets_within(loader['dataset'], f'{name}.dataset'):
            if (dataset.get('backend_args') or {}).get('backend', 'local') == 'local':
                _check_one(dataset, where)
                check_annotations(dataset, where, cfg.get('default_scope'))
        check_evaluator(cfg, name)


def stated_classes(cfg: Config) -> tuple[str, ...]:
    """Return the class names that the config states for its training data; empty without."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset')
    for inner, _ in datasets_within(dataset, '') if isinstance(dataset, dict) else ():
        classes = (inner.get('metainfo') or {}).get('classes')
        if isinstance(classes, (list, tuple)):
            return tuple(classes)
    return ()


def _check_one(dataset: dict, where: str) -> None:
    root = dataset.get('data_root') or ''
    wanted: list[tuple] = [
        (key, dataset.get(key), osp.isfile) for key in ('ann_file', 'proposal_file')
    ]
    prefixes = dataset.get('data_prefix')
    if isinstance(prefixes, dict):
        wanted += [(f'data_prefix.{key}', value, osp.isdir) for key, value in prefixes.items()]
    for key, value, exists in wanted:
        if not isinstance(value, str) or not value or '://' in value:
            continue
        path = osp.join(root, value)
        if value.endswith(('.pkl', '.pickle')):
            raise DataError(
                f"{where}: annotation file '{path}' ({key}) is a pickle, which may "
                'execute code when it is read; convert it to json'
            )
        if not exists(path):
            kind = 'annotation file' if exists is osp.isfile else 'folder'
            raise DataError(
                f"{where}: {kind} '{path}' ({key}) does not exist; put the data there or set "
                f'{where}.data_root'
            )
