"""Panels that set ground truth and the answers of several models side by side."""
import numpy as np

from mmkd_sod.errors import DataError

from .drawing import PALETTE, draw_boxes
from .grid import image_grid, save_image


def above_score(boxes: dict, score_thr: float) -> dict:
    """The boxes with a score of at least ``score_thr``; all of them when they have no scores."""
    bboxes = np.asarray(boxes['bboxes'], dtype=np.float64).reshape(-1, 4)
    labels = np.asarray(boxes['labels'], dtype=np.int64).reshape(-1)
    scores = boxes.get('scores')
    if scores is None:
        return dict(bboxes=bboxes, labels=labels)
    scores = np.asarray(scores, dtype=np.float64).reshape(-1)
    if len(scores) != len(bboxes):
        raise DataError(f'detection_panel: {len(bboxes)} boxes and {len(scores)} scores do not go '
                        'together')
    keep = scores >= score_thr
    return dict(bboxes=bboxes[keep], labels=labels[keep], scores=scores[keep])


def detection_panel(images, columns: dict, classes, path=None, score_thr: float = 0.3,
                    side: int = 360, palette=PALETTE, row_titles=None) -> np.ndarray:
    """Draw boxes of several sources, one row an image and one column a source.

    Args:
        images (Sequence[np.ndarray]): (H, W, 3) or (H, W) uint8, RGB.
        columns (dict[str, Sequence[dict]]): By title, for example 'ground truth', 'teacher',
            'student', 'distilled': for each image ``bboxes`` (N, 4) as x1, y1, x2, y2 in its
            pixels, ``labels`` (N,) and, for detections, ``scores`` (N,).
        classes (Sequence[str]): Names of the classes.
        path (str | Path, optional): Picture to write, atomically.
        score_thr (float): Detections below this score are not drawn.
        side (int): Small images are enlarged until their longer side has this many pixels.
        palette (Sequence): RGB colour of each class.
        row_titles (Sequence[str], optional): A title above each row.

    Returns:
        np.ndarray: The panel, (H', W', 3) uint8, RGB.

    Raises:
        DataError: A column without boxes for every image, or boxes, labels and scores that do not
            go together.
    """
    for title, boxes in columns.items():
        if len(boxes) != len(images):
            raise DataError(f'detection_panel: column {title!r} has boxes of {len(boxes)} images, '
                            f'{len(images)} are wanted')
    rows = []
    for index, image in enumerate(images):
        scale = max(1., side / max(image.shape[:2]))
        rows.append([
            draw_boxes(image, classes=classes, scale=scale, palette=palette,
                       **above_score(boxes[index], score_thr)) for boxes in columns.values()
        ])
    panel = image_grid(rows, list(columns), row_titles)
    if path is not None:
        save_image(path, panel)
    return panel
