"""Mistakes in data that a second look at the data proves."""

from collections.abc import Mapping
from types import FrameType

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmkd_sod.datasets.coco_check import compare_classes, examine_file, structure_fault
from mmkd_sod.engine.checks import datasets_within
from mmkd_sod.errors import DataError
from mmkd_sod.utils.files import read_json


def data_mistake(frames: list[FrameType]) -> DataError | None:
    """Return what is wrong with the data set that an error came through, or None.

    Args:
        frames (list): The frames of the error, the outermost first.
    """
    for frame in reversed(frames):
        dataset = frame.f_locals.get('self')
        if not isinstance(dataset, BaseDataset):
            continue
        if frame.f_code is BaseDataset._serialize_data.__code__ and not dataset.data_list:
            return DataError(_nothing_left(frames, dataset))
        if frame.f_code.co_name == 'load_data_list':
            fault = annotation_fault(dataset.ann_file, _is_coco(dataset))
            return None if fault is None else DataError(fault)
    return None


def _is_coco(dataset: BaseDataset) -> bool:
    from mmdet.datasets import CocoDataset

    return isinstance(dataset, CocoDataset)


def annotation_fault(path: str, coco: bool) -> str | None:
    """Return why an annotation file cannot be read, or None where it can.

    Args:
        path (str): The file.
        coco (bool): Whether it must contain what mmdet's ``CocoDataset`` reads.
    """
    if not path.endswith('.json'):
        return None
    where = f"annotation file '{path}'"
    try:
        found = read_json(path)
    except OSError as error:
        return f'{where} cannot be read ({error.strerror}); check the path'
    except ValueError as error:
        return f'{where} is not valid JSON ({error}); write it again'
    if not coco:
        return None
    fault = structure_fault(found)
    return None if fault is None else f'{where}{fault}'


def _where(frames: list[FrameType], dataset: BaseDataset) -> str:
    """The setting of the data set, as far as the Runner's config names it."""
    cfg: Mapping = next(
        (
            frame.f_locals['self'].cfg
            for frame in frames
            if isinstance(getattr(frame.f_locals.get('self'), 'cfg', None), Config)
        ),
        {},
    )
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or {}
        if isinstance(loader.get('dataset'), dict):
            for part, where in datasets_within(loader['dataset'], f'{name}.dataset'):
                if dataset.ann_file.endswith(part.get('ann_file') or '\0'):
                    return where
    return 'the data set'


def _nothing_left(frames: list[FrameType], dataset: BaseDataset) -> str:
    """Why a data set holds no image."""
    path, where = dataset.ann_file, _where(frames, dataset)
    classes = dataset.metainfo.get('classes')
    start = f"{where}: no image of '{path}' is left"
    found = examine_file(path)
    if found is not None and classes and not set(found.categories) & set(classes):
        different, _ = compare_classes(classes, found.categories)
        return f'{start}: {different}; set {where}.metainfo.classes'
    return (
        f'{start}; it needs annotated images that {where}.filter_cfg and {where}.indices keep '
        '(filter_empty_gt=False keeps images without objects)'
    )
