"""Sample images and the predictions of models on them."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmkd_sod.engine.sample_images import SampleImages, build_dataset, spread_evenly
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.student import load_model
from tests.runs import TINY_STUDENT
from tests.saliency import save_network, scfnet_config


def scenes_config(scenes):
    """Return the plain student's config on these scenes, with a narrow network."""
    cfg = Config.fromfile('configs/demo/scenes_gfl_student.py')
    options = dict(option.split('=', 1) for option in TINY_STUDENT)
    cfg.model.backbone.base_channels = int(options['model.backbone.base_channels'])
    cfg.model.neck.in_channels = [4, 8, 16, 32]
    cfg.model.test_cfg.score_thr = 0.0
    cfg.test_dataloader.dataset.data_root = f'{scenes}/'
    return cfg


def test_spread_evenly():
    assert spread_evenly(2, 10) == [2, 7] and spread_evenly(5, 3) == [0, 1, 2]


def test_detector_predicts_and_keeps_its_mode(scenes, tmp_path):
    cfg = scenes_config(scenes)
    samples = SampleImages(build_dataset(cfg), 2)
    from mmkd_sod.models.builder import build_model

    model = build_model(dict(cfg.model, _scope_='mmdet'))
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'net.pth')
    model = load_model(cfg, tmp_path / 'net.pth', 'cpu')
    assert not model.training
    model.train()
    model.backbone.eval()
    predictions = samples.predictions(model)
    assert model.training and not model.backbone.training
    again = samples.predictions(model)
    assert len(predictions) == 2 and predictions[0]['bboxes'].shape[1] == 4
    assert np.array_equal(predictions[1]['scores'], again[1]['scores'])
    for truth, image in zip(samples.truths(predictions[0]), samples.images, strict=True):
        height, width = image.shape[:2]
        assert len(truth['bboxes']) and (truth['bboxes'].max(0) <= [width, height] * 2).all()


def test_saliency_network_predicts(tmp_path):
    _, checkpoint = save_network(tmp_path)
    cfg = scfnet_config(tmp_path)
    samples = SampleImages(build_dataset(cfg), 3)
    predictions = samples.predictions(load_model(cfg, checkpoint, 'cpu'))
    for prediction, truth, image in zip(
        predictions, samples.truths(predictions[0]), samples.images, strict=True
    ):
        assert prediction['saliency'].shape == truth['saliency'].shape == image.shape[:2]
        assert set(np.unique(truth['saliency'])) == {0.0, 1.0}


def test_missing_data_are_named(scenes):
    cfg = scenes_config(scenes)
    cfg.test_dataloader.dataset.data_root = 'nowhere/'
    with pytest.raises(DataError, match='nowhere'):
        build_dataset(cfg)
    cfg.test_dataloader = None
    with pytest.raises(ConfigError, match='no test_dataloader'):
        build_dataset(cfg)
    with pytest.raises(DataError, match='has no images'):
        SampleImages([], 2)
