"""PanelHook: panels are written by all backends and do not affect the training."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, VISBACKENDS
from mmengine.runner import Runner
from mmengine.visualization import BaseVisBackend

from mmkd_sod.engine.hooks import PanelHook
from mmkd_sod.engine.sample_images import build_dataset
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from tests.conftest import forget_visualizers
from tests.runs import DEMO, TINY_DISTILL, on
from tests.saliency import scfnet_config

SHOWN = []


@VISBACKENDS.register_module(force=True)
class RecordingVisBackend(BaseVisBackend):
    """Second visualization backend, such as TensorBoard's."""

    def __init__(self, save_dir):
        super().__init__(save_dir)

    experiment = None

    def _init_env(self):
        """Do nothing."""

    def add_image(self, name, image, step=0, **kwargs):
        SHOWN.append((name, image.shape, step))


def train(scenes, work_dir, hooks) -> Runner:
    """Train a narrow student with a random teacher for one epoch of two steps."""
    forget_visualizers()
    cfg = Config.fromfile(DEMO.format('crosskd'))
    values = (option.split('=', 1) for option in (*TINY_DISTILL, *on(scenes)))
    options = {
        key: [4, 8, 16, 32]
        if value.startswith('[')
        else float(value)
        if key.endswith('thr')
        else int(value)
        if value.isdigit()
        else value
        for key, value in values
    }
    cfg.merge_from_dict(options)
    cfg.model.teacher_ckpt, cfg.model.teacher_allow_missing = None, ['*']
    cfg.work_dir, cfg.custom_hooks, cfg.log_level = str(work_dir), hooks, 'ERROR'
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend'), dict(type='RecordingVisBackend')]
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@HOOKS.register_module(force=True)
class Modes(Hook):
    """Records whether the student is in training mode at each step."""

    seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(runner.model.training and runner.model.student.neck.training)


def losses(work_dir) -> list:
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    return [
        record['loss']
        for record in map(json.loads, path.read_text().splitlines())
        if 'loss' in record
    ]


def test_panels_of_a_distillation(scenes, tmp_path):
    SHOWN.clear()
    Modes.seen.clear()
    hook = dict(type='mmkd_sod.PanelHook', interval=1, images=2, side=160, score_thr=0.0)
    train(scenes, tmp_path / 'with', [hook, dict(type='Modes')])
    assert [(name, step) for name, _, step in SHOWN] == [('panel', 0), ('panel', 1), ('panel', 2)]
    assert Modes.seen == [True, True]
    pictures = sorted((tmp_path / 'with').glob('*/vis_data/vis_image/panel_*.png'))
    assert [path.name for path in pictures] == ['panel_0.png', 'panel_1.png', 'panel_2.png']
    first, last = (cv2.imread(str(path)) for path in (pictures[0], pictures[-1]))
    assert first.shape == last.shape == SHOWN[0][1] and first.shape[1] > 3 * 160
    third = first.shape[1] // 3
    same = [
        np.array_equal(first[:, start : start + third], last[:, start : start + third])
        for start in (0, third)
    ]
    assert same == [True, True]  # truth and teacher
    assert not np.array_equal(first, last)  # the student changed

    train(scenes, tmp_path / 'without', [])
    assert losses(tmp_path / 'with') == losses(tmp_path / 'without') and len(SHOWN) == 3


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match='at least 1'):
        PanelHook(interval=0)
    with pytest.raises(ConfigError, match='no val_dataloader'):
        PanelHook().before_train(type('R', (), dict(val_loop=None)))


def test_panel_of_a_plain_saliency_network(tmp_path):
    cfg = scfnet_config(tmp_path)
    shown = []
    runner = SimpleNamespace(
        iter=7,
        model=build_model(cfg.model),
        val_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=build_dataset(cfg))),
        visualizer=SimpleNamespace(add_image=lambda *args: shown.append(args)),
    )
    PanelHook(images=2, side=60).before_train(runner)
    ((name, panel, step),) = shown
    assert (name, step) == ('panel', 7) and panel.dtype == np.uint8
    assert runner.model.training
