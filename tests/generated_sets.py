"""Samples in the layouts that the data sets of mmdet, mmseg and this package read."""

import csv
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
from mmdet.datasets import (
    BaseVideoDataset,
    CityscapesDataset,
    CocoDataset,
    OpenImagesDataset,
    ReIDDataset,
    V3DetDataset,
    XMLDataset,
)
from mmengine.registry import DATASETS

from mmkd_sod.datasets.camvid import CamVidDataset
from mmkd_sod.datasets.rgbd_cosod_dataset import RGBDCoSODDataset
from mmkd_sod.datasets.sod_dataset import SODDataset, UnlabelledImageDataset

# Wide enough for two columns at stride 128, which group norm needs.
HEIGHT, WIDTH, COUNT = 96, 160, 4


def dataset_class(dataset: dict) -> type | None:
    """Return the class of a data set config in the current scope."""
    with DATASETS.switch_scope_and_registry(dataset.get('_scope_')) as registry:
        return registry.get(dataset['type'])


def write_samples(dataset: dict, folder: Path) -> None:
    """Write samples for one data set config; types without a writer get none."""
    kind = dataset_class(dataset)
    root = dataset.get('data_root')
    if kind is None or (root and not str(root).startswith(str(folder))):
        return
    root = Path(root or folder)
    if issubclass(kind, CamVidDataset):
        _write_maps(root, f'images/{dataset.split}', f'annotations/{dataset.split}', range(12))
    elif issubclass(kind, SODDataset):
        _write_saliency(kind, dataset, root)
    elif issubclass(kind, CocoDataset):
        _write_coco(kind, dataset, root)
    elif issubclass(kind, XMLDataset):
        _write_xml(dataset, root)
    elif issubclass(kind, OpenImagesDataset):
        _write_openimages(dataset, root)
    elif issubclass(kind, BaseVideoDataset):
        _write_video(kind, dataset, root)
    elif issubclass(kind, ReIDDataset):
        _write_identities(dataset, root)
    elif 'depth_map_path' in (dataset.get('data_prefix') or {}):
        _write_depth(dataset, root)
    elif 'seg_map_path' in (dataset.get('data_prefix') or {}):
        _write_segmentation(dataset, root)


def _image(path: Path, seed: int, channels: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8).squeeze()
    # JPEG for readers that ask for its suffix, PNG for any other.
    suffix = '.jpg' if path.suffix.lower() in ('.jpg', '.jpeg') else '.png'
    path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())


def _label_map(path: Path, values: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stripes = np.resize(np.array(values, np.uint8), HEIGHT // 4).repeat(4)
    cv2.imencode('.png', np.tile(stripes[:, None], (1, WIDTH)))[1].tofile(path)


def _names(dataset: dict, root: Path) -> list[str]:
    names = [f'sample{i}' for i in range(COUNT)]
    ann_file = dataset.get('ann_file')
    if ann_file:
        path = root / ann_file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(names) + '\n')
    return names


def _write_maps(root, images, maps, values, names=None, suffixes=('.png', '.png')) -> None:
    for seed, name in enumerate(names or [f'sample{i}' for i in range(COUNT)]):
        _image(root / images / f'{name}{suffixes[0]}', seed)
        _label_map(root / maps / f'{name}{suffixes[1]}', list(values))


def _write_segmentation(dataset: dict, root: Path) -> None:
    prefix = dataset['data_prefix']
    for value in prefix.values():
        (root / value).mkdir(parents=True, exist_ok=True)
    names = _names(dataset, root)
    built = DATASETS.build({**dataset, 'lazy_init': True, 'pipeline': []})
    # Without class 0 where it stands for pixels that are ignored.
    # The data sets of mmdet always keep it.
    first = int(bool(getattr(built, 'reduce_zero_label', False)))
    values = range(first, len(built.metainfo['classes']))
    suffixes = (built.img_suffix, built.seg_map_suffix)
    _write_maps(root, prefix['img_path'], prefix['seg_map_path'], values, names, suffixes)
    if 'img_path2' in prefix:
        _write_maps(root, prefix['img_path2'], prefix['seg_map_path'], values, names, suffixes)


def _write_saliency(kind: type, dataset: dict, root: Path) -> None:
    if issubclass(kind, UnlabelledImageDataset):
        prefix = dict(img_path='')
    elif issubclass(kind, RGBDCoSODDataset):
        prefix = dict(img_path='image', depth_path='depth', seg_map_path='mask')
    else:
        prefix = dict(img_path='image', seg_map_path='mask')
    prefix.update(dataset.get('data_prefix') or {})
    for seed, name in enumerate(_names(dataset, root)):
        if issubclass(kind, RGBDCoSODDataset):
            name = f'group{seed % 2}/{name}'
        _image(root / prefix['img_path'] / f'{name}.jpg', seed)
        if 'depth_path' in prefix:
            _image(root / prefix['depth_path'] / f'{name}.png', seed, 1)
        if 'seg_map_path' in prefix:
            _label_map(root / prefix['seg_map_path'] / f'{name}.png', [0, 255])


def _write_coco(kind: type, dataset: dict, root: Path) -> None:
    classes = (dataset.get('metainfo') or {}).get('classes') or kind.METAINFO.get('classes') or ()
    if issubclass(kind, V3DetDataset):  # Its classes are in a file.
        classes = ('bolt', 'nut', 'washer')
        path = root / 'annotations/category_name_13204_v3det_2023_v1.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(classes))
    images, boxes = [], []
    prefix = dataset.get('data_prefix') or {}
    folder = prefix.get('img', '')
    for i in range(COUNT):
        name = f'sample{i}.jpg'
        if kind is CityscapesDataset:  # Its metric reads maps of instances by their names.
            name = f'sample{i}_leftImg8bit.png'
            ids = np.full((HEIGHT, WIDTH), 24001, np.uint16)
            path = (
                root / folder.replace('leftImg8bit', 'gtFine') / f'sample{i}_gtFine_instanceIds.png'
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imencode('.png', ids)[1].tofile(path)
        _image(root / folder / name, i)
        if 'seg' in prefix:
            _label_map(root / prefix['seg'] / f'sample{i}.png', [0, 1, 2, 255])
        images.append(
            dict(
                id=i + 1,
                file_name=name,
                width=WIDTH,
                height=HEIGHT,
                coco_url=f'http://images.cocodataset.org/{name}',
                neg_category_ids=[],
                not_exhaustive_category_ids=[],
            )
        )
        for category in range(i, len(classes), COUNT) or [0]:
            x, y = 4 + category % 40, 4 + category % 24
            corners = [x, y, x + 40, y, x + 40, y + 32, x, y + 32]
            boxes.append(
                dict(
                    id=len(boxes) + 1,
                    image_id=i + 1,
                    category_id=category + 1,
                    iscrowd=0,
                    bbox=[x, y, 40, 32],
                    area=40 * 32,
                    segmentation=[corners],
                )
            )
    categories = [
        dict(id=i + 1, name=name, frequency='f', image_count=1, instance_count=1, isthing=1)
        for i, name in enumerate(classes)
    ]
    path = root / dataset['ann_file']
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(images=images, annotations=boxes, categories=categories)))


def _write_xml(dataset: dict, root: Path) -> None:
    kind, prefix = dataset_class(dataset), dataset['data_prefix']
    wider = 'sub_data_root' not in prefix
    top = root / (prefix['img'] if wider else prefix['sub_data_root'])
    folder = 'images' if wider else 'JPEGImages'
    classes = kind.METAINFO['classes']
    for i, name in enumerate(_names(dataset, root)):
        _image(top / folder / f'{name}.jpg', i)
        objects = ''.join(
            f'<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>5</xmin>'
            '<ymin>5</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>'
            for label in classes[i::COUNT] or classes[:1]
        )
        path = top / 'Annotations' / f'{name}.xml'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'<annotation><folder>{folder}</folder><size><width>{WIDTH}</width>'
            f'<height>{HEIGHT}</height></size>{objects}</annotation>'
        )


def _write_openimages(dataset: dict, root: Path) -> None:
    labels = {'/m/1': 'Bolt', '/m/2': 'Nut', '/m/3': 'Washer'}
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    flags = ('IsOccluded', 'IsTruncated', 'IsGroupOf', 'IsDepiction', 'IsInside')
    head = ('ImageID', 'Source', 'LabelName', 'Confidence')
    boxes: list = [(*head, 'XMin', 'XMax', 'YMin', 'YMax', *flags)]
    levels: list = [head]
    metas = []
    for i in range(COUNT):
        name = f'sample{i}'
        _image(root / dataset['data_prefix']['img'] / f'{name}.jpg', i)
        for label in labels:
            boxes.append([name, 'x', label, 1, 0.1, 0.6, 0.1, 0.7, 0, 0, 0, 0, 0])
            levels.append([name, 'x', label, 1])
        metas.append(dict(filename=f'{name}.jpg', ori_shape=(HEIGHT, WIDTH, 3)))
    files = {
        'ann_file': boxes,
        'label_file': [[label, name] for label, name in labels.items()],
        'image_level_ann_file': levels,
    }
    for key, rows in files.items():
        if dataset.get(key):
            with open(root / dataset[key], 'w', newline='') as file:
                csv.writer(file).writerows(rows)
    (root / dataset['meta_file']).write_bytes(pickle.dumps(metas))
    tree = dict(LabelName='/m/0', Subcategory=[dict(LabelName=label) for label in labels])
    (root / dataset['hierarchy_file']).write_text(json.dumps(tree))


def _write_video(kind: type, dataset: dict, root: Path) -> None:
    """Write two videos of two frames, each with the same two objects."""
    if 'dataset_version' in dataset:
        kind.set_dataset_classes(dataset['dataset_version'])
    classes = (dataset.get('metainfo') or {}).get('classes') or kind.METAINFO['classes']
    images, boxes = [], []
    for number in range(COUNT):
        video, frame = divmod(number, 2)
        name = f'video{video}/img1/{frame:06}.jpg'
        _image(root / dataset['data_prefix']['img_path'] / name, number)
        images.append(
            dict(
                id=number + 1,
                file_name=name,
                width=WIDTH,
                height=HEIGHT,
                video_id=video + 1,
                frame_id=frame,
            )
        )
        for item in (0, 1):
            x, y = 8 + 64 * item + 2 * frame, 12
            corners = [x, y, x + 48, y, x + 48, y + 56, x, y + 56]
            boxes.append(
                dict(
                    id=len(boxes) + 1,
                    image_id=number + 1,
                    video_id=video + 1,
                    instance_id=2 * video + item + 1,
                    category_id=(2 * video + item) % len(classes) + 1,
                    bbox=[x, y, 48, 56],
                    area=48 * 56,
                    iscrowd=0,
                    segmentation=[corners],
                    visibility=1.0,
                    mot_conf=1.0,
                )
            )
    path = root / dataset['ann_file']
    path.parent.mkdir(parents=True, exist_ok=True)
    found = dict(
        images=images,
        annotations=boxes,
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(classes)],
        videos=[dict(id=1, name='video0'), dict(id=2, name='video1')],
    )
    path.write_text(json.dumps(found))


def _write_identities(dataset: dict, root: Path) -> None:
    lines = []
    for number in range(16):
        name = f'person{number // 2}_{number % 2}.jpg'
        _image(root / dataset['data_prefix']['img_path'] / name, number)
        lines.append(f'{name} {number // 2}')
    path = root / dataset['ann_file']
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines))


def _write_depth(dataset: dict, root: Path) -> None:
    prefix = dataset['data_prefix']
    for seed in range(COUNT):
        _image(root / prefix['img_path'] / f'office_{seed}.jpg', seed)
        path = root / prefix['depth_map_path'] / f'office_{seed}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        depth = np.linspace(500, 9000, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)
        cv2.imencode('.png', depth)[1].tofile(path)
