"""Metrics of model and predictor; wrong predictors are detected."""

import math

import cv2
import numpy as np
import pytest

from mmkd_sod.deployment import predict
from mmkd_sod.deployment.agreement import Agreement, build_metrics, build_test_loader, compare
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.student import load_student
from tests.shipments import TASKS, tiny


def parts(task, folder, scenes):
    cfg, path = tiny(task, folder, scenes)
    plain, _, model = load_student(cfg, path)
    return plain, build_test_loader(plain, 'test_dataloader'), model


def of_truth(task, loader, spoil):
    """Return a predictor that returns the ground truth, or a wrong one."""
    samples = iter(range(len(loader)))

    def predictor(image):
        sample = loader.dataset[next(samples)]['data_samples']
        if task == 'detection':
            truth = sample.gt_instances
            return dict(
                bboxes=truth.bboxes.tensor.numpy() + 40 * spoil,
                scores=np.ones(len(truth.labels), np.float32),
                labels=truth.labels.numpy(),
            )
        labels = sample.gt_sem_seg.data[0].numpy()
        if task == 'segmentation':
            return dict(labels=(labels + spoil) % 11)
        return dict(saliency=abs(labels.astype(np.float32) - spoil))

    return predictor


@pytest.mark.parametrize('task', TASKS)
def test_the_predictor_is_evaluated(task, tmp_path, scenes):
    cfg, loader, model = parts(task, tmp_path, scenes)
    name = dict(detection='coco/bbox_mAP', segmentation='mIoU', saliency='sod/Smeasure')[task]
    best = dict(detection=1, segmentation=100, saliency=1)[task]
    good, bad = (
        compare(cfg, 'test', loader, model, of_truth(task, loader, spoil)) for spoil in (0, 1)
    )
    assert good.onnx[name] > 0.9 * best > 0.5 * best > bad.onnx[name]
    assert good.images == len(loader) and good.torch == bad.torch
    # Random weights are far from the truth; differences are fractions of 1.
    assert (
        good.differences[name] == pytest.approx(abs(good.torch[name] - good.onnx[name]) / best)
        and 1 >= good.worst > 1e-2
    )
    assert good.torch_ms > 0 and good.onnx_ms > 0
    assert list(good.differences) == sorted(good.differences)


def test_worst_includes_one_sided_metrics():
    assert math.isnan(Agreement(1, {}, {}, dict(a=0.0, b=math.nan, c=1.0), 1, 1).worst)
    assert Agreement(1, {}, {}, dict(a=0.0, c=0.5), 1, 1).worst == 0.5


def test_metrics_write_no_files_and_must_return_values(tmp_path, scenes):
    cfg, _, _ = parts('saliency', tmp_path, scenes)
    cfg.test_evaluator.out_dir = str(tmp_path / 'maps')
    (metric,) = build_metrics(cfg, 'test_evaluator', {})
    assert metric.out_dir is None
    cfg.test_evaluator.format_only = True
    with pytest.raises(ConfigError, match='computes no metrics'):
        build_metrics(cfg, 'test_evaluator', {})
    cfg.test_evaluator = None
    with pytest.raises(ConfigError, match='computes no metrics'):
        build_metrics(cfg, 'test_evaluator', {})


def test_loader_gives_single_images(tmp_path, scenes):
    cfg, _ = tiny('detection', tmp_path, scenes)
    cfg.test_dataloader.update(
        batch_size=3, num_workers=2, persistent_workers=True, prefetch_factor=2
    )
    loader = build_test_loader(cfg, 'test_dataloader')
    assert len(loader) == len(loader.dataset) and loader.num_workers == 0


def test_an_unreadable_image_is_named(tmp_path, scenes):
    cfg, loader, model = parts('saliency', tmp_path, scenes)
    with pytest.raises(DataError, match=r'0\.png.* cannot be read'):
        compare(cfg, 'test', loader, model, predict.Predictor, read=lambda path: None)
    assert cv2.imread(str(tmp_path / 'data/image/0.png')) is not None
