"""The data sets of the demo configs."""

import json

import pytest
from mmengine.config import Config

from mmkd_sod.datasets.scenes import SHAPES, SceneSettings, make_scenes

pytest.importorskip('mmdet')

BASE = 'configs/demo/_base_'


def build(dataset_cfg, **changes):
    from mmdet.registry import DATASETS
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    return DATASETS.build({**dataset_cfg, **changes})


@pytest.mark.parametrize('name, scale', [('bccd', (320, 240)), ('scenes', (160, 160))])
def test_config(root, name, scale):
    cfg = Config.fromfile(root / BASE / f'{name}_detection.py')
    files = {}
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        assert loader.batch_size == cfg.batch_size == 8
        assert loader.num_workers == cfg.num_workers
        assert loader.persistent_workers == (cfg.num_workers > 0)
        assert loader.dataset.type == 'CocoDataset' and loader.dataset.data_root.startswith('data/')
        assert len(loader.dataset.metainfo.classes) == len(loader.dataset.metainfo.palette)
        resize = [step for step in loader.dataset.pipeline if step.type == 'Resize']
        assert resize == [dict(type='Resize', scale=scale, keep_ratio=False)]
        files[split] = loader.dataset.data_root + loader.dataset.ann_file
    flips = [step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomFlip']
    assert len(flips) == 1 and ('vertical' in flips[0].get('direction', [])) == (name == 'bccd')
    for split in ('val', 'test'):
        evaluator = cfg[f'{split}_evaluator']
        assert evaluator.type == 'CocoMetric' and evaluator.metric == 'bbox'
        assert evaluator.ann_file == files[split]
    assert files['train'] != files['val']
    assert (files['val'] == files['test']) == (name == 'scenes')


def test_config_joins_mmdet_runtime(root, tmp_path):
    leaf = tmp_path / 'leaf.py'
    leaf.write_text(
        f"_base_ = ['{root / BASE / 'scenes_detection.py'}', 'mmdet::_base_/default_runtime.py']\n"
    )
    assert Config.fromfile(leaf).default_scope == 'mmdet'


@pytest.mark.parametrize('split', ['train', 'val'])
def test_scenes_load(root, tmp_path, split, capsys):
    make_scenes(tmp_path / 'scenes', SceneSettings(train=6, val=3), progress=False)
    cfg = Config.fromfile(root / BASE / 'scenes_detection.py')
    dataset = build(cfg[f'{split}_dataloader'].dataset, data_root=str(tmp_path / 'scenes'))
    assert dataset.metainfo['classes'] == SHAPES
    assert len(dataset) == (6 if split == 'train' else 3)
    path = tmp_path / 'scenes' / 'annotations' / f'{split}.json'
    content = json.loads(path.read_text())
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample['inputs'].shape == (3, 160, 160)
        instances = sample['data_samples'].gt_instances
        image_id = sample['data_samples'].img_id
        wanted = [
            annotation['category_id'] - 1
            for annotation in content['annotations']
            if annotation['image_id'] == image_id
        ]
        assert instances.labels.tolist() == wanted
