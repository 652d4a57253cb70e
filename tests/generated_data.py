"""Any config on generated samples: small images in the layout that its data sets read."""

import json
import os.path as osp
from pathlib import Path

import cv2
import numpy as np
from mmdet.datasets import CocoDataset, XMLDataset
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmkd_sod.datasets.camvid import CamVidDataset
from mmkd_sod.datasets.rgbd_cosod_dataset import RGBDCoSODDataset
from mmkd_sod.datasets.sod_dataset import SODDataset, UnlabelledImageDataset
from mmkd_sod.engine.checks import datasets_within

# Wide enough for two columns at stride 128, which group norm needs.
HEIGHT, WIDTH, COUNT = 96, 160, 4
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def dataset_class(dataset: dict) -> type | None:
    """Return the class of a data set config in the current scope."""
    with DATASETS.switch_scope_and_registry(dataset.get('_scope_')) as registry:
        return registry.get(dataset['type'])


def walk(node):
    """Yield all dicts of a nested config."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from walk(value)


def on_generated_data(cfg: Config, folder: Path) -> Config:
    """Write samples for all data sets of a config below a folder, and return the config on them.

    Images are small, and so are the sizes in pipelines and preprocessors; loaders have no
    workers and batches of at most two images.
    """
    cfg = Config(_moved(cfg._cfg_dict.to_dict(), folder), filename=cfg.filename)
    for node in walk(cfg._cfg_dict):
        _shrink(node)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    for name in LOADERS:
        if cfg.get(name):
            cfg[name].update(num_workers=0, persistent_workers=False)
            if cfg[name].get('batch_size'):
                cfg[name].batch_size = min(cfg[name].batch_size, COUNT // 2)
            for dataset, _ in datasets_within(cfg[name].dataset, name):
                _write(dataset, folder)
    return cfg


def _moved(node, folder: Path):
    """Return a config with its paths in ``data/`` moved into the folder."""
    if isinstance(node, dict):
        return {key: _moved(value, folder) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_moved(value, folder) for value in node)
    return f'{folder}/{node}' if isinstance(node, str) and node.startswith('data/') else node


def _shrink(node: dict) -> None:
    for key in ('scale', 'img_scale'):
        if isinstance(node.get(key), (tuple, list)) and len(node[key]) == 2:
            pair = isinstance(node[key][0], (tuple, list))
            node[key] = [(WIDTH, HEIGHT)] * 2 if pair else (WIDTH, HEIGHT)
    if 'scales' in node and 'type' in node:
        whole = isinstance(node['scales'][0], int)
        node['scales'] = [HEIGHT, WIDTH] if whole else [(WIDTH, HEIGHT), (WIDTH + 32, HEIGHT + 32)]
    if isinstance(node.get('crop_size'), (tuple, list)):
        node['crop_size'] = (HEIGHT, HEIGHT)
    kind = str(node.get('type'))
    if kind.endswith(('DataPreProcessor', 'DataPreprocessor')) and node.get('size'):
        node['size'] = (HEIGHT, HEIGHT)


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


def _write(dataset: dict, folder: Path) -> None:
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
    elif 'seg_map_path' in (dataset.get('data_prefix') or {}):
        _write_segmentation(dataset, root)


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
    images, boxes = [], []
    folder = (dataset.get('data_prefix') or {}).get('img', '')
    for i in range(COUNT):
        name = f'sample{i}.jpg'
        _image(root / folder / name, i)
        images.append(
            dict(
                id=i + 1,
                file_name=name,
                width=WIDTH,
                height=HEIGHT,
                coco_url=f'http://none/{name}',
                neg_category_ids=[],
                not_exhaustive_category_ids=[],
            )
        )
        for category in range(i, len(classes), COUNT):
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
        dict(id=i + 1, name=name, frequency='f', image_count=1, instance_count=1)
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


def without_downloads(cfg: Config) -> Config:
    """Return a config whose models start from random weights."""
    for node in walk(cfg._cfg_dict):
        init = node.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
        if isinstance(node.get('pretrained'), str):
            node['pretrained'] = None
    cfg.load_from = None
    return cfg


def package_configs(package) -> Path:
    """Return the folder of the configs that come with mmdet or mmseg."""
    return Path(osp.dirname(package.__file__)) / '.mim/configs'
