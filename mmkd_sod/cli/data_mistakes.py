"""Mistakes in data that a second look at the data proves."""

from collections.abc import Mapping
from types import FrameType

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmkd_sod.engine.checks import datasets_within
from mmkd_sod.errors import DataError
from mmkd_sod.utils.files import read_json

# What mmdet's CocoDataset reads of each entry.
_NEEDED = dict(
    images=('id', 'file_name', 'height', 'width'),
    categories=('id', 'name'),
    annotations=('id', 'image_id', 'category_id', 'bbox'),
)


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
    if not isinstance(found, dict):
        return f'{where} contains a {type(found).__name__}; give a COCO dict'
    for name, keys in _NEEDED.items():
        if not isinstance(found.get(name), list):
            return f"{where} has no list '{name}'; add it, as the COCO format requires"
        for number, entry in enumerate(found[name]):
            if not isinstance(entry, dict):
                return f'{where}: {name}[{number}] is {entry!r}; give a dict'
            missing = [key for key in keys if key not in entry]
            if missing and not _skipped(entry):
                return f'{where}: {name}[{number}] has no {", ".join(missing)}; add it'
    for number, entry in enumerate(found['annotations']):
        if not _skipped(entry) and not _is_box(entry['bbox']):
            return (
                f'{where}: annotations[{number}].bbox is {entry["bbox"]!r}; give four numbers, '
                'x, y, width and height'
            )
    return None


def _skipped(entry: dict) -> bool:
    """Whether mmdet skips an annotation before it looks at its box."""
    return bool(entry.get('ignore'))


def _is_box(bbox) -> bool:
    return (
        isinstance(bbox, list)
        and len(bbox) == 4
        and all(isinstance(value, (int, float)) for value in bbox)
    )


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
    try:
        names = [category['name'] for category in read_json(path)['categories']]
    except (OSError, ValueError, KeyError, TypeError):
        names = None
    if names is not None and classes is not None and not set(names) & set(classes):
        return (
            f'{start}: its categories {_few(names)} are none of {_few(classes)}; set '
            f'{where}.metainfo.classes'
        )
    return (
        f'{start}; it needs annotated images that {where}.filter_cfg and {where}.indices keep '
        '(filter_empty_gt=False keeps images without objects)'
    )


def _few(names) -> str:
    names = [str(name) for name in names]
    return '(' + ', '.join(names[:6]) + (', ...' if len(names) > 6 else '') + ')'
