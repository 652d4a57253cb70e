"""Drawing predictions and ground truth of detection, segmentation and saliency.

A prediction, or ground truth, is a dict with one of ``bboxes`` (with ``labels`` and, for
detections, ``scores``), ``classes``, (H, W) class indices, or ``saliency``, (H, W) in [0, 1]; all
in pixels of the image.
"""

import cv2
import numpy as np

from mmkd_sod.errors import DataError

from .drawing import PALETTE, draw_boxes, draw_mask
from .panels import above_score
from .saliency import saliency_overlay

IGNORED = 255  # of class masks


def prediction_of(sample) -> dict:
    """Return the prediction in a data sample of a detector or segmentor.

    Args:
        sample (DetDataSample | SegDataSample): Output of ``mode='predict'``.

    Returns:
        dict: A prediction. For a segmentor with one output channel it is the saliency map, to which
        mmseg has applied the sigmoid.

    Raises:
        DataError: The sample has neither boxes nor a map.
    """
    if 'pred_instances' in sample:
        found = sample.pred_instances.cpu().numpy()
        return dict(bboxes=found.bboxes, labels=found.labels, scores=found.scores)
    if 'seg_logits' in sample and sample.seg_logits.data.shape[0] == 1:
        return dict(saliency=sample.seg_logits.data[0].float().cpu().numpy().clip(0, 1))
    if 'pred_sem_seg' in sample:
        return dict(classes=sample.pred_sem_seg.data[0].cpu().numpy())
    raise DataError(
        'the model predicts neither boxes nor a map of classes or saliency; panels '
        'need one of these; use a detector or segmentor'
    )


def truth_of(info: dict, sample, binary: bool = False) -> dict | None:
    """Return the ground truth of an image in the form of a prediction.

    Args:
        info (dict): ``dataset.get_data_info(index)``, the source of boxes, since pipelines may
            resize those of the sample.
        sample (DetDataSample | SegDataSample): Output of the test pipeline, the source of masks.
        binary (bool): Whether the mask is a saliency mask.

    Returns:
        dict | None: Ground truth, without scores; None if there are no labels.
    """
    if 'instances' in info:
        objects = [one for one in info['instances'] if not one.get('ignore_flag')]
        return dict(
            bboxes=np.array([one['bbox'] for one in objects]).reshape(-1, 4),
            labels=[one['bbox_label'] for one in objects],
        )
    if 'gt_sem_seg' in sample:
        maps = sample.gt_sem_seg
        # mmdet and mmseg give the map of labels different names.
        mask = (maps.sem_seg if 'sem_seg' in maps else maps.data)[0].cpu().numpy()
        return dict(saliency=(mask == 1).astype(np.float32)) if binary else dict(classes=mask)
    return None


def fit_map(prediction: dict, shape: tuple) -> dict:
    """Resize the map of a prediction to the size of its image; return boxes unchanged."""
    for key, how in (('classes', cv2.INTER_NEAREST), ('saliency', cv2.INTER_LINEAR)):
        if key in prediction and prediction[key].shape != tuple(shape[:2]):
            values = prediction[key].astype(np.int32 if key == 'classes' else np.float32)
            return {
                key: cv2.resize(
                    values.astype(np.float32), (shape[1], shape[0]), interpolation=how
                ).astype(values.dtype)
            }
    return prediction


def draw_prediction(
    image: np.ndarray,
    prediction: dict,
    classes=(),
    palette=None,
    score_thr: float = 0.3,
    side: int = 0,
    font_size: int = 13,
) -> np.ndarray:
    """Draw the boxes, class colours or saliency of a prediction over an image.

    Args:
        image (np.ndarray): (H, W, 3), uint8, RGB.
        prediction (dict): A prediction or ground truth.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence, optional): RGB colour of each class.
        score_thr (float): Minimum score of drawn boxes.
        side (int): Minimum length of the longer side in pixels; smaller images are enlarged.
        font_size (int): Height of the boxes' class names in pixels.

    Returns:
        np.ndarray: The picture, (H', W', 3), uint8, RGB.
    """
    palette = PALETTE if palette is None or isinstance(palette, str) else palette
    scale = max(1.0, side / max(image.shape[:2]))
    if 'bboxes' in prediction:
        boxes = above_score(prediction, score_thr)
        count = 1 + max(boxes['labels'], default=0)
        names = [*classes, *(str(index) for index in range(len(classes), count))]
        return draw_boxes(
            image, classes=names, scale=scale, palette=palette, font_size=font_size, **boxes
        )
    prediction = fit_map(prediction, image.shape)
    if 'saliency' in prediction:
        picture = saliency_overlay(image, prediction['saliency'])
    else:
        # Shifted, since `draw_mask` does not colour the value 0.
        mask = prediction['classes'].astype(np.int64)
        mask = np.where(mask == IGNORED, -1, mask + 1)
        picture = draw_mask(image, mask, palette, ignore=-1)
    if scale == 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
