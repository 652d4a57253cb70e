"""Several segmentors on the same images."""
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmseg.evaluation import IoUMetric

from mmkd_sod.models.builder import build_model
from mmkd_sod.models.student import student_checkpoint, student_config
from mmkd_sod.utils.checkpoint import check_fits
from mmkd_sod.utils.images import read_image
from mmkd_sod.utils.progress import progress_bar


def load_segmentor(config: str, checkpoint: str, device: str | None = None) -> BaseModel:
    """A segmentor for inference; of a distillation config, the student alone.

    Args:
        config (str): Path of its config.
        checkpoint (str): Its weights.
        device (str, optional): Where it runs; default: a GPU where there is one.

    Raises:
        ConfigError: The config holds no model that can be built.
        CheckpointError: The weights cannot be read, or do not fit.
    """
    cfg = student_config(Config.fromfile(config))
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = build_model(cfg.model)
    state = student_checkpoint(checkpoint)['state_dict']
    check_fits(model, state, f"'{checkpoint}'", f"the model of '{config}'")
    model.load_state_dict(state, strict=False)
    return model.to(device or get_device()).eval()


@torch.no_grad()
def compare_segmentors(models: Mapping[str, BaseModel], dataset,
                       shown: Sequence[int] = ()) -> tuple[dict, dict]:
    """Measure segmentors and keep some of their maps.

    Args:
        models (Mapping): Segmentors in eval mode, by title.
        dataset: A data set of mmseg in test mode, its pipeline with labels.
        shown (Sequence[int]): Which samples' maps to keep.

    Returns:
        tuple: Scores by title, as mmseg's ``IoUMetric`` gives them (aAcc, mIoU, mAcc in per cent);
        and pictures by column: ``image`` (H, W, 3), uint8, RGB, ``truth`` and each title (H, W),
        labels, one for each of ``shown``.

    Raises:
        DataError: An image cannot be read.
    """
    metrics = {}
    for title in models:
        metrics[title] = IoUMetric()
        metrics[title].dataset_meta = dataset.metainfo
    pictures: dict[str, list] = {column: [] for column in ('image', 'truth', *models)}
    with progress_bar(len(dataset)) as tell:
        for index in range(len(dataset)):
            batch = pseudo_collate([dataset[index]])
            for title, model in models.items():
                sample, = model.test_step(batch)
                metrics[title].process(batch, [sample.to_dict()])
                if index in shown:
                    pictures[title].append(_labels(sample.pred_sem_seg))
            if index in shown:
                pictures['truth'].append(_labels(sample.gt_sem_seg))
                pictures['image'].append(read_image(sample.img_path)[..., ::-1])
            tell()
    scores = {title: metric.evaluate(len(dataset)) for title, metric in metrics.items()}
    return {title: {name: float(value) for name, value in found.items()}
            for title, found in scores.items()}, pictures


def _labels(pixel_data) -> np.ndarray:
    return pixel_data.data.squeeze(0).cpu().numpy()
