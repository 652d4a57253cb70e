"""Small models of each task with their data, for the tests of the export."""

import cv2
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from mmkd_sod.registry import MODELS
from tests.conftest import ROOT
from tests.sod_data import write_set

TASKS = ('detection', 'segmentation', 'saliency')


def _detection(scenes) -> Config:
    cfg = Config.fromfile(ROOT / 'configs/demo/scenes_gfl_student.py')
    cfg.test_dataloader.dataset.data_root = f'{scenes}/'
    cfg.test_evaluator.ann_file = f'{scenes}/annotations/val.json'
    # Small enough for seconds; every score is kept, since the weights are random.
    cfg.model.backbone.base_channels = 4
    cfg.model.neck.in_channels = [4, 8, 16, 32]
    cfg.model.test_cfg.score_thr = 0.0
    # Images of several sizes give inputs of several sizes.
    cfg.test_dataloader.dataset.pipeline[1].update(scale=(200, 140), keep_ratio=True)
    return cfg


def _segmentation(folder) -> Config:
    rng = np.random.default_rng(0)
    for kind in ('images', 'annotations'):
        (folder / kind / 'test').mkdir(parents=True)
    for name, (height, width) in dict(a=(60, 80), b=(60, 80), c=(75, 80)).items():
        cv2.imwrite(
            str(folder / 'images/test' / f'{name}.png'),
            rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        )
        cv2.imwrite(
            str(folder / 'annotations/test' / f'{name}.png'),
            rng.integers(0, 11, (height, width), dtype=np.uint8),
        )
    cfg = Config.fromfile(ROOT / 'configs/demo/camvid_pspnet_student.py')
    cfg.test_dataloader.dataset.data_root = str(folder)
    cfg.test_dataloader.dataset.pipeline[1].scale = (100, 90)
    return cfg


def _saliency(folder) -> Config:
    write_set(folder)
    (folder / 'test.txt').write_text('0\n1\n2\n')
    cfg = Config.fromfile(ROOT / 'configs/demo/human_seg_scfnet_student.py')
    cfg.test_dataloader.dataset.data_root = str(folder)
    cfg.test_dataloader.dataset.pipeline[1].scale = (64, 64)
    return cfg


def tiny(task: str, folder, scenes) -> tuple[Config, str]:
    """Write a config with data in ``folder`` and a checkpoint of random weights."""
    cfg = (
        _detection(scenes)
        if task == 'detection'
        else (_segmentation if task == 'segmentation' else _saliency)(folder / 'data')
    )
    torch.manual_seed(0)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(ConfigDict(cfg.model, _scope_=cfg.default_scope))
    if task == 'detection':
        # New heads predict about the same score everywhere; spread scores.
        for parameter in model.bbox_head.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
    path = folder / f'{task}.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=3)), path)
    return cfg, str(path)
