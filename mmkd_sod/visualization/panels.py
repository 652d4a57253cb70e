"""Panels of ground truth and the detections of several models."""

import numpy as np

from mmkd_sod.errors import DataError

from .drawing import PALETTE, draw_boxes
from .grid import image_grid, save_image


def above_score(boxes: dict, score_thr: float) -> dict:
    """Return the boxes with a score of at least ``score_thr``, or all boxes without scores."""
    bboxes = np.asarray(boxes['bboxes'], dtype=np.float64).reshape(-1, 4)
    labels = np.asarray(boxes['labels'], dtype=np.int64).reshape(-1)
    scores = boxes.get('scores')
    if scores is None:
        return dict(bboxes=bboxes, labels=labels)
    scores = np.asarray(scores, dtype=np.float64).reshape(-1)
    if len(scores) != len(bboxes):
        raise DataError(
            f'detection_panel: got {len(bboxes)} boxes and {len(scores)} scores; give '
            'one score per box'
        )
    keep = scores >= score_thr
    return dict(bboxes=bboxes[keep], labels=labels[keep], scores=scores[keep])


def detection_panel(
    images,
    columns: dict,
    classes,
    path=None,
    score_thr: float = 0.3,
    side: int = 360,
    palette=PALETTE,
    row_titles=None,
) -> np.ndarray:
    """Draw boxes of several sources, with one row per image and one column per source.

    Args:
        images (Sequence[np.ndarray]): (H, W, 3) or (H, W), uint8, RGB.
        columns (dict[str, Sequence[dict]]): Title, such as 'teacher', to boxes of each image:
            ``bboxes`` (N, 4) as x1, y1, x2, y2 in pixels, ``labels`` (N,) and, for detections,
            ``scores`` (N,).
        classes (Sequence[str]): Names of the classes.
        path (str | Path, optional): Output file, written atomically.
        score_thr (float): Minimum score of drawn boxes.
        side (int): Minimum length of the longer side in pixels; smaller images are enlarged.
        palette (Sequence): RGB colour of each class.
        row_titles (Sequence[str], optional): Titles above the rows.

    Returns:
        np.ndarray: The panel, (H', W', 3), uint8, RGB.

    Raises:
        DataError: The numbers of images, or of boxes, labels and scores, differ.
    """
    for title, boxes in columns.items():
        if len(boxes) != len(images):
            raise DataError(
                f'detection_panel: column {title!r} has boxes for {len(boxes)} images; '
                f'give boxes for all {len(images)} images'
            )
    rows = []
    for index, image in enumerate(images):
        scale = max(1.0, side / max(image.shape[:2]))
        rows.append(
            [
                draw_boxes(
                    image,
                    classes=classes,
                    scale=scale,
                    palette=palette,
                    **above_score(boxes[index], score_thr),
                )
                for boxes in columns.values()
            ]
        )
    panel = image_grid(rows, list(columns), row_titles)
    if path is not None:
        save_image(path, panel)
    return panel
