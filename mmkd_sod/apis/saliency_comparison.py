"""Comparing saliency networks on the same images."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from mmkd_sod.evaluation.sod_metric import image_scores, set_scores, to_uint8
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.utils.images import fit_mask, read_image, read_mask
from mmkd_sod.utils.progress import progress_bar


def compare(
    models: Mapping[str, SaliencyInferencer], samples: Sequence[dict], shown: Sequence[int] = ()
) -> tuple[dict, dict]:
    """Evaluate networks and return some of their maps.

    Args:
        models (Mapping): Networks by title.
        samples (Sequence[dict]): ``img_path`` and ``seg_map_path`` of each image, and
            ``mask_rule`` if it is known.
        shown (Sequence[int]): Indices of the samples whose maps are returned.

    Returns:
        tuple: Scores of ``SODMetric`` by title; and pictures by column, one for each of ``shown``:
        ``image`` (H, W, 3), uint8, BGR, and ``truth`` and each title (H, W), in [0, 1].

    Raises:
        DataError: An image or a mask cannot be read.
    """
    scores: dict[str, list] = {title: [] for title in models}
    pictures: dict[str, list] = {column: [] for column in ('image', 'truth', *models)}
    with progress_bar(len(samples)) as advance:
        for index, sample in enumerate(samples):
            image, path = read_image(sample['img_path']), sample['seg_map_path']
            mask = fit_mask(read_mask(path, sample.get('mask_rule')), image.shape[:2], path)
            truth = (mask > 128).astype(np.uint8) * 255
            maps = {title: model([image])[0] for title, model in models.items()}
            for title, saliency in maps.items():
                scores[title].append(image_scores(to_uint8(torch.from_numpy(saliency)), truth))
            if index in shown:
                for column, picture in dict(image=image, truth=truth / 255.0, **maps).items():
                    pictures[column].append(picture)
            advance()
    return {title: set_scores(images) for title, images in scores.items()}, pictures
