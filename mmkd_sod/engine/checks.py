"""Checks before a long run."""
import os.path as osp
from collections.abc import Iterator, Sequence

from mmengine.config import Config

from mmkd_sod.errors import DataError


def datasets_within(dataset: dict, where: str) -> Iterator[tuple[dict, str]]:
    """A data set config, or those inside of wrappers such as RepeatDataset and ConcatDataset."""
    if isinstance(dataset.get('dataset'), dict):
        yield from datasets_within(dataset['dataset'], f'{where}.dataset')
    elif isinstance(dataset.get('datasets'), (list, tuple)):
        for i, part in enumerate(dataset['datasets']):
            yield from datasets_within(part, f'{where}.datasets.{i}')
    else:
        yield dataset, where


def check_data(cfg: Config,
               loaders: Sequence[str] = ('train_dataloader', 'val_dataloader')) -> None:
    """Refuse a config whose annotation files or image folders are not on disk.

    Data sets that mmengine would find out about only when it builds them, one after the other, are
    all looked at before anything is built. Remote data (``backend_args``) is not checked.

    Args:
        cfg (Config): The whole config.
        loaders (Sequence[str]): Names of the data loaders that will be used.

    Raises:
        DataError: Something is missing or is a pickle; the sentence names the path and the setting.
    """
    for name in loaders:
        loader = cfg.get(name)
        if not loader or not isinstance(loader.get('dataset'), dict):
            continue
        for dataset, where in datasets_within(loader['dataset'], f'{name}.dataset'):
            if (dataset.get('backend_args') or {}).get('backend', 'local') == 'local':
                _check_one(dataset, where)


def _check_one(dataset: dict, where: str) -> None:
    root = dataset.get('data_root') or ''
    wanted: list[tuple] = [
        (key, dataset.get(key), osp.isfile) for key in ('ann_file', 'proposal_file')]
    prefixes = dataset.get('data_prefix')
    if isinstance(prefixes, dict):
        wanted += [(f'data_prefix.{key}', value, osp.isdir) for key, value in prefixes.items()]
    for key, value, there in wanted:
        if not isinstance(value, str) or not value or '://' in value:
            continue
        path = osp.join(root, value)
        if value.endswith(('.pkl', '.pickle')):
            raise DataError(f"{where}: annotation file '{path}' ({key}) is a pickle, which may run "
                            'code when it is read; give it as json')
        if not there(path):
            kind = 'annotation file' if there is osp.isfile else 'folder'
            raise DataError(
                f"{where}: {kind} '{path}' ({key}) is not there; put the data there or set "
                f'{where}.data_root')
