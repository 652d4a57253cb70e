"""Drawing boxes and masks on images (H, W, 3), uint8, RGB."""

from functools import lru_cache

import cv2
import numpy as np

from mmkd_sod.errors import DataError

# Okabe and Ito's colours without black, RGB.
PALETTE = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (240, 228, 66),
)


@lru_cache(maxsize=8)
def font(size: int):
    """Return matplotlib's default font at ``size`` pixels."""
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont('DejaVu Sans'), size)


def ink_on(color) -> tuple:
    """Return black or white, whichever is more readable on an RGB ``color``."""
    brightness = np.dot(color, (0.299, 0.587, 0.114))
    return (0, 0, 0) if brightness > 140 else (255, 255, 255)


def to_rgb(image) -> np.ndarray:
    """Return a copy of an image with three channels.

    Args:
        image (np.ndarray): (H, W, 3), (H, W, 1) or (H, W), uint8.

    Returns:
        np.ndarray: (H, W, 3), uint8, contiguous.

    Raises:
        DataError: The image has another shape or type.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if (
        image.dtype != np.uint8
        or image.size == 0
        or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3))
    ):
        raise DataError(
            f'got an image of shape {image.shape} and type {image.dtype}; drawing '
            'needs (H, W, 3) or (H, W), uint8; convert the image'
        )
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize an image, with bicubic interpolation to enlarge and averaging to reduce."""
    reduce = width < image.shape[1]
    return cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if reduce else cv2.INTER_CUBIC
    )


def draw_boxes(
    image: np.ndarray,
    bboxes,
    labels,
    classes,
    scores=None,
    scale: float = 1.0,
    palette=PALETTE,
    font_size: int = 13,
) -> np.ndarray:
    """Enlarge an image and draw boxes with class names on it.

    Line width and text size do not depend on the scale. A name is placed above its box, or at
    another corner if the image ends there or the name of a box with a higher score is there.
    Without enough space it is shortened to the score or the first letter, or omitted.

    Args:
        image (np.ndarray): (H, W, 3) or (H, W), uint8, RGB.
        bboxes (np.ndarray | list): (N, 4), x1, y1, x2, y2 in pixels of ``image``.
        labels (Sequence[int]): N class indices.
        classes (Sequence[str]): Names of the classes.
        scores (Sequence[float], optional): N scores, written after the names.
        scale (float): Factor of the enlargement.
        palette (Sequence): RGB colours of the classes, repeated if there are too few.
        font_size (int): Height of the text in pixels.

    Returns:
        np.ndarray: (scale * H, scale * W, 3), uint8.

    Raises:
        DataError: The numbers of boxes, labels and scores differ, or the image is not valid.
    """
    from PIL import Image, ImageDraw

    image = to_rgb(image)
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    picture = Image.fromarray(resize(image, width, height))
    draw = ImageDraw.Draw(picture)
    bboxes = np.asarray(bboxes, dtype=np.float64).reshape(-1, 4) * scale
    if not len(bboxes) == len(labels) == len(labels if scores is None else scores):
        raise DataError(
            f'draw_boxes: got {len(bboxes)} boxes, {len(labels)} labels and '
            f'{"no" if scores is None else len(scores)} scores; give one label and '
            'score per box'
        )
    # Names are drawn over all lines, and the box with the highest score last.
    order = range(len(bboxes)) if scores is None else np.argsort(scores)
    for index in order:
        _draw_frame(draw, bboxes[index], tuple(palette[labels[index] % len(palette)]))
    face = font(font_size)
    taken: list[tuple] = []
    for index in reversed(order):
        color = tuple(palette[labels[index] % len(palette)])
        name = classes[labels[index]]
        texts = (
            (name, name[:1])
            if scores is None
            else (f'{name} {scores[index]:.2f}', f'{scores[index]:.2f}')
        )
        for text in texts:
            place = _free_place(face, text, bboxes[index], (width, height), taken)
            if place is not None:
                taken.append(place)
                draw.rectangle(place, fill=color)
                draw.text((place[0] + 2, place[1]), text, fill=ink_on(color), font=face)
                break
    return np.asarray(picture).copy()


def _draw_frame(draw, bbox, color) -> None:
    """Draw a coloured frame with a thin light border, visible on any background."""
    x1, y1, x2, y2 = bbox
    x2, y2 = max(x1, x2 - 1), max(y1, y2 - 1)
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=(255, 255, 255), width=4)
    draw.rectangle((x1, y1, x2, y2), outline=color, width=2)


def _free_place(face, text: str, bbox, size, taken):
    """Return the first place (x1, y1, x2, y2) at a box where a name covers no other, or None."""
    left, _, right, _ = face.getbbox(text)
    width, height = right - left + 4, sum(face.getmetrics())
    x1, y1, x2, y2 = bbox
    corners = (
        (x1, y1 - height),
        (x1, y1),
        (x1, y2),
        (x2 - width, y2 - height),
        (x2 - width, y1 - height),
        (x2 - width, y1),
        (x1, y2 - height),
        (x2 - width, y2),
    )
    for x, y in corners:
        x, y = min(max(x, 0), max(0, size[0] - width)), min(max(y, 0), max(0, size[1] - height))
        if not any(
            x < other[2] and other[0] < x + width and y < other[3] and other[1] < y + height
            for other in taken
        ):
            return x, y, x + width, y + height
    return None


def draw_mask(
    image: np.ndarray, mask: np.ndarray, palette=PALETTE, opacity: float = 0.55, ignore: int = 255
) -> np.ndarray:
    """Draw a class mask over an image.

    Args:
        image (np.ndarray): (H, W, 3) or (H, W), uint8, RGB.
        mask (np.ndarray): (H, W) integers: 0 is not coloured, k has the (k - 1)-th colour.
        palette (Sequence): RGB colours, repeated if there are too few.
        opacity (float): Opacity of the colours, in [0, 1].
        ignore (int): Value that is drawn grey.

    Returns:
        np.ndarray: (H, W, 3), uint8.

    Raises:
        DataError: Image and mask differ in size, or the image is not valid.
    """
    image, mask = to_rgb(image), np.asarray(mask)
    if mask.shape != image.shape[:2]:
        raise DataError(
            f'draw_mask: got a mask of shape {mask.shape} for an image of shape '
            f'{image.shape[:2]}; both must agree; resize the mask'
        )
    colors = np.asarray(palette, dtype=np.float32)[(mask.astype(np.int64) - 1) % len(palette)]
    colors[mask == ignore] = 128
    blend = image + (colors - image) * opacity
    return np.where((mask != 0)[..., None], np.round(blend), image).astype(np.uint8)
