"""Any config on generated samples: small images in the layout that its data sets read."""

import os.path as osp
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmkd_sod.engine.checks import datasets_within
from tests.generated_sets import COUNT, HEIGHT, WIDTH, write_samples

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


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
                # Batches of several sources keep their shares.
                shares = sum((cfg[name].get('sampler') or {}).get('source_ratio') or [COUNT // 2])
                cfg[name].batch_size = min(cfg[name].batch_size, shares)
            for dataset, _ in datasets_within(cfg[name].dataset, name):
                write_samples(dataset, folder)
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
    if isinstance(node.get('ratio_range'), (tuple, list)):
        node['ratio_range'] = (1.0, max(node['ratio_range'][1], 1.0))
    if isinstance(node.get('crop_size'), (tuple, list)):
        # Detectors, whose transform has width first, need two columns at stride 128.
        node['crop_size'] = (WIDTH if 'bbox_clip_border' in node else HEIGHT, HEIGHT)
    kind = str(node.get('type'))
    if kind.endswith(('DataPreProcessor', 'DataPreprocessor')) and node.get('size'):
        node['size'] = (HEIGHT, HEIGHT)


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
