"""Drawing what a model answers, or what is true, whatever the task.

An answer is a dict with one of ``bboxes`` (with ``labels`` and maybe ``scores``), ``classes``,
(H, W) class indices, or ``saliency``, (H, W) in [0, 1]; all in the pixels of the image.
"""
import cv2
import numpy as np

from mmkd_sod.errors import DataError

from .drawing import PALETTE, draw_boxes, draw_mask
from .panels import above_score
from .saliency import saliency_overlay

IGNORED = 255  # of class masks


def prediction_of(sample) -> dict:
    """The answer in a data sample that a detector or segmentor has predicted on.

    Args:
        sample (DetDataSample | SegDataSample): Output of ``mode='predict'``.

    Returns:
        dict: An answer. Of a segmentor with one output channel it is the saliency map, after the
        sigmoid that mmseg applies.

    Raises:
        DataError: The sample holds neither boxes nor a map.
    """
    if 'pred_instances' in sample:
        found = sample.pred_instances.cpu().numpy()
        return dict(bboxes=found.bboxes, labels=found.labels, scores=found.scores)
    if 'seg_logits' in sample and sample.seg_logits.data.shape[0] == 1:
        return dict(saliency=sample.seg_logits.data[0].float().cpu().numpy().clip(0, 1))
    if 'pred_sem_seg' in sample:
        return dict(classes=sample.pred_sem_seg.data[0].cpu().numpy())
    raise DataError('the model predicts neither boxes nor a map of classes or saliency; panels '
                    'know detectors and segmentors')


def truth_of(info: dict, sample, binary: bool = False) -> dict | None:
    """What is true of an image, as far as its data set tells.

    Args:
        info (dict): ``dataset.get_data_info(index)``; boxes are taken from here, since pipelines
            may resize those in the sample.
        sample (DetDataSample | SegDataSample): What the test pipeline packed; masks are taken from
            here, as each data set has its own way to read them.
        binary (bool): The mask is one of saliency.

    Returns:
        dict | None: An answer without scores; None where there are no labels.
    """
    if 'instances' in info:
        whole = [one for one in info['instances'] if not one.get('ignore_flag')]
        return dict(bboxes=np.array([one['bbox'] for one in whole]).reshape(-1, 4),
                    labels=[one['bbox_label'] for one in whole])
    if 'gt_sem_seg' in sample:
        mask = sample.gt_sem_seg.data[0].cpu().numpy()
        return dict(saliency=(mask == 1).astype(np.float32)) if binary else dict(classes=mask)
    return None


def fit_answer(answer: dict, shape: tuple) -> dict:
    """Bring a map to its image's size; boxes stay."""
    for key, how in (('classes', cv2.INTER_NEAREST), ('saliency', cv2.INTER_LINEAR)):
        if key in answer and answer[key].shape != tuple(shape[:2]):
            values = answer[key].astype(np.int32 if key == 'classes' else np.float32)
            return {key: cv2.resize(values.astype(np.float32), (shape[1], shape[0]),
                                    interpolation=how).astype(values.dtype)}
    return answer


def draw_answer(image: np.ndarray, answer: dict, classes=(), palette=None,
                score_thr: float = 0.3, side: int = 0, font_size: int = 13) -> np.ndarray:
    """Draw boxes, or lay class colours or a tint of what is salient over an image.

    Args:
        image (np.ndarray): (H, W, 3), uint8, RGB.
        answer (dict): See the module.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence, optional): RGB colour of each class.
        score_thr (float): Boxes below this score are not drawn.
        side (int): Smaller images are enlarged until their longer side has this many pixels.
        font_size (int): Height of boxes' names in pixels.

    Returns:
        np.ndarray: The picture, (H', W', 3), uint8, RGB.
    """
    palette = PALETTE if palette is None or isinstance(palette, str) else palette
    scale = max(1., side / max(image.shape[:2]))
    if 'bboxes' in answer:
        boxes = above_score(answer, score_thr)
        count = 1 + max(boxes['labels'], default=0)
        names = [*classes, *(str(index) for index in range(len(classes), count))]
        return draw_boxes(image, classes=names, scale=scale, palette=palette,
                          font_size=font_size, **boxes)
    answer = fit_answer(answer, image.shape)
    if 'saliency' in answer:
        picture = saliency_overlay(image, answer['saliency'])
    else:
        # Every class has a colour here, the first one too.
        mask = answer['classes'].astype(np.int64)
        mask = np.where(mask == IGNORED, -1, mask + 1)
        picture = draw_mask(image, mask, palette, ignore=-1)
    if scale == 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
