"""Comparing segmentors on the same images."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmseg.evaluation import IoUMetric

from mmkd_sod.utils.images import read_image
from mmkd_sod.utils.progress import progress_bar


@torch.no_grad()
def compare_segmentors(
    models: Mapping[str, BaseModel], dataset, shown: Sequence[int] = ()
) -> tuple[dict, dict]:
    """Evaluate segmentors and return some of their maps.

    Args:
        models (Mapping): Segmentors in eval mode, by title.
        dataset: Data set of mmseg in test mode, with labels in its pipeline.
        shown (Sequence[int]): Indices of the samples whose maps are returned.

    Returns:
        tuple: Scores of mmseg's ``IoUMetric`` by title (aAcc, mIoU, mAcc in per cent); and pictures
        by column, one for each of ``shown``: ``image`` (H, W, 3), uint8, RGB, and ``truth`` and
        each title (H, W), labels.

    Raises:
        DataError: An image cannot be read.
    """
    metrics = {}
    for title in models:
        metrics[title] = IoUMetric()
        metrics[title].dataset_meta = dataset.metainfo
    pictures: dict[str, list] = {column: [] for column in ('image', 'truth', *models)}
    with progress_bar(len(dataset)) as advance:
        for index in range(len(dataset)):
            batch = pseudo_collate([dataset[index]])
            for title, model in models.items():
                (sample,) = model.test_step(batch)
                metrics[title].process(batch, [sample.to_dict()])
                if index in shown:
                    pictures[title].append(_labels(sample.pred_sem_seg))
            if index in shown:
                pictures['truth'].append(_labels(sample.gt_sem_seg))
                pictures['image'].append(read_image(sample.img_path)[..., ::-1])
            advance()
    scores = {title: metric.evaluate(len(dataset)) for title, metric in metrics.items()}
    return {
        title: {name: float(value) for name, value in found.items()}
        for title, found in scores.items()
    }, pictures


def _labels(pixel_data) -> np.ndarray:
    return pixel_data.data.squeeze(0).cpu().numpy()
