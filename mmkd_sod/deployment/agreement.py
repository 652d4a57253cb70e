"""Comparing the metrics of a model and its ONNX export on a data set."""

import contextlib
import io
import logging
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import InstanceData, PixelData

from mmkd_sod.compat.metric_rounding import unrounded
from mmkd_sod.engine.build_runner import enter_scope
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.images import read_with_opencv
from mmkd_sod.utils.progress import progress_bar

# Maximum difference of metrics, as a fraction of 1.
LIMIT = 1e-3
# Settings of metrics that write files.
_WRITING = ('out_dir', 'output_dir', 'outfile_prefix')


@dataclass
class Agreement:
    """Metrics of a model and its ONNX export.

    Attributes:
        images (int): Number of images.
        torch (dict): Values of the model's metrics, in their own units; those of mmseg are rounded
            to a hundredth of a per cent.
        onnx (dict): Values of the export's metrics.
        differences (dict): Absolute differences, as fractions of 1.
        torch_ms (float): Median time per image of the model, in milliseconds.
        onnx_ms (float): Median time per image of the export, in milliseconds.
    """

    images: int
    torch: dict[str, float]
    onnx: dict[str, float]
    differences: dict[str, float]
    torch_ms: float
    onnx_ms: float

    @property
    def worst(self) -> float:
        """Largest difference; NaN if a metric is missing on one side."""
        return max(self.differences.values(), key=lambda x: (math.isnan(x), x))


def build_test_loader(cfg: Config, name: str):
    """Build a loader of single images, which batches do not pad to a common size.

    Args:
        cfg (Config): The whole config.
        name (str): Key of the loader.
    """
    enter_scope(cfg)
    loader = dict(cfg[name])
    loader.update(batch_size=1, num_workers=0, persistent_workers=False, drop_last=False)
    for key in ('batch_sampler', 'prefetch_factor', 'timeout'):
        loader.pop(key, None)
    with _quiet():
        return Runner.build_dataloader(loader)


def build_metrics(cfg: Config, name: str, dataset_meta: dict) -> list:
    """Build the metrics of an evaluator without output files.

    Args:
        cfg (Config): The whole config.
        name (str): Key of the evaluator.
        dataset_meta (dict): Metadata of the data set.

    Raises:
        ConfigError: There are no metrics, or they only format results.
    """
    settings = cfg.get(name) or []
    settings = settings if isinstance(settings, (list, tuple)) else [settings]
    if not settings or any(metric.get('format_only') for metric in settings):
        raise ConfigError(
            f'ship: {name} computes no metrics; ship compares metrics; set a metric '
            'with format_only=False'
        )
    with _quiet():
        metrics = Evaluator(
            [{k: v for k, v in metric.items() if k not in _WRITING} for metric in settings]
        )
    metrics.dataset_meta = dataset_meta
    return metrics.metrics


def compare(
    cfg: Config,
    split: str,
    loader,
    model: BaseModel,
    predictor: Callable,
    read: Callable = read_with_opencv,
) -> Agreement:
    """Evaluate a model and a predictor on the same images.

    The model gets batches of the data loader; the predictor gets decoded image files, so that its
    preprocessing is tested too.

    Args:
        cfg (Config): The whole config, with the evaluator.
        split (str): ``'test'`` or ``'val'``.
        loader: Loader of ``build_test_loader``.
        model (BaseModel): Model in eval mode on the CPU.
        predictor (Callable): A ``predict.Predictor``.
        read (Callable): Reads a path to an image (H, W, 3), uint8, BGR, or None.

    Returns:
        Agreement: Metrics and times of both.

    Raises:
        DataError: There are no images, an image cannot be read, or there are no metrics.
    """
    meta = loader.dataset.metainfo
    sides = dict(
        torch=build_metrics(cfg, f'{split}_evaluator', meta),
        onnx=build_metrics(cfg, f'{split}_evaluator', meta),
    )
    times: dict[str, list] = dict(torch=[], onnx=[])
    images = len(loader)
    if not images:
        raise DataError(f'ship: the data set of {split}_dataloader is empty; give one with images')
    with progress_bar(images) as advance, torch.no_grad():
        for batch in loader:
            path = batch['data_samples'][0].metainfo.get('img_path')
            image = read(str(path))
            if image is None:
                raise DataError(f"image '{path}' cannot be read by OpenCV; replace it")
            predictions = {}
            start = time.perf_counter()
            predictions['torch'] = model.test_step(batch)[0]
            middle = time.perf_counter()
            result = predictor(image)
            end = time.perf_counter()
            predictions['onnx'] = _as_sample(predictions['torch'], result)
            times['torch'].append(middle - start)
            times['onnx'].append(end - middle)
            for side, metrics in sides.items():
                for metric in metrics:
                    metric.process(batch, [predictions[side].to_dict()])
            advance()
    scores = {
        side: [_evaluate(metric, images) for metric in metrics] for side, metrics in sides.items()
    }
    differences = {}
    for metric, ours, theirs in zip(sides['torch'], scores['torch'], scores['onnx'], strict=True):
        unit = 100.0 if type(metric).__module__.startswith('mmseg.') else 1.0
        for name in ours.keys() | theirs.keys():
            a, b = ours.get(name, math.nan), theirs.get(name, math.nan)
            both = math.isnan(a) and math.isnan(b) and name in ours and name in theirs
            differences[name] = 0.0 if both else abs(a - b) / unit
    if not differences:
        raise DataError(
            'ship: the metrics returned no values, as for a model without predictions; '
            'give a trained checkpoint'
        )
    merged = {
        side: {name: value for part in parts for name, value in part.items()}
        for side, parts in scores.items()
    }
    median_ms = {
        side: 1000 * statistics.median(spent[1:] or spent) for side, spent in times.items()
    }
    return Agreement(
        images,
        merged['torch'],
        merged['onnx'],
        dict(sorted(differences.items())),
        median_ms['torch'],
        median_ms['onnx'],
    )


def _as_sample(sample, result: dict):
    """Return a data sample with the predictor's result instead of the model's."""
    sample = sample.clone()
    if 'bboxes' in result:
        sample.pred_instances = InstanceData(
            **{
                key: torch.from_numpy(np.ascontiguousarray(result[key]))
                for key in ('bboxes', 'scores', 'labels')
            }
        )
        return sample
    maps = result.get('saliency')
    if maps is not None:
        sample.seg_logits = PixelData(data=torch.from_numpy(maps)[None])
    labels = result['labels'] if maps is None else maps > 0.5
    sample.pred_sem_seg = PixelData(data=torch.from_numpy(labels.astype(np.int64))[None])
    return sample


def _evaluate(metric, images: int) -> dict[str, float]:
    """Return the unrounded values of a metric, without log output."""
    with _quiet(), unrounded(metric):
        scores = metric.evaluate(images)
    return {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, (int, float, np.number))
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the output of pycocotools and of metrics."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
