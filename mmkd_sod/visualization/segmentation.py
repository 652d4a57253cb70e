"""Drawing label maps."""

import numpy as np

from mmkd_sod.errors import DataError

from .drawing import font
from .grid import map_grid, save_image

_LINE = 22  # height of a line of the legend in pixels


def paint_labels(labels: np.ndarray, palette, ignore_index: int = 255) -> np.ndarray:
    """Colour a label map, with ignored pixels in black.

    Args:
        labels (np.ndarray): (H, W), integers.
        palette (Sequence): RGB colour of each class.
        ignore_index (int): Label of ignored pixels.

    Returns:
        np.ndarray: (H, W, 3), uint8, RGB.

    Raises:
        DataError: A label has no colour.
    """
    table = np.zeros((max(256, len(palette)), 3), np.uint8)
    table[: len(palette)] = palette
    table[ignore_index] = 0
    unknown = (labels != ignore_index) & ((labels < 0) | (labels >= len(palette)))
    if unknown.any():
        raise DataError(
            f'paint_labels: label {int(labels[unknown][0])} has no colour in a palette '
            f'of {len(palette)}; give a colour for each class'
        )
    return table[labels]


def _legend(classes, palette, width: int) -> np.ndarray:
    """Draw the names and colours of the classes in lines of the given width."""
    from PIL import Image, ImageDraw

    face = font(14)
    places, x, y = [], 4, 0
    for name in classes:
        space = 26 + int(face.getlength(name))
        if x + space > width and x > 4:
            x, y = 4, y + _LINE
        places.append((x, y))
        x += space + 10
    picture = Image.new('RGB', (width, y + _LINE), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for name, colour, (left, top) in zip(classes, palette, places, strict=True):
        draw.rectangle((left, top + 4, left + 16, top + 16), fill=tuple(colour), outline=(0, 0, 0))
        draw.text((left + 22, top + 2), name, fill=(0, 0, 0), font=face)
    return np.asarray(picture)


def segmentation_panel(
    images, columns: dict, classes, palette, path=None, side: int = 200
) -> np.ndarray:
    """Draw images and label maps of several sources side by side, with one row per image.

    Args:
        images (Sequence[np.ndarray]): (H, W, 3), uint8, RGB.
        columns (dict[str, Sequence[np.ndarray]]): Title, such as 'student', to a label map (H, W)
            for each image; 255 is black.
        classes (Sequence[str]): Names of the classes, for the legend.
        palette (Sequence): RGB colour of each class.
        path (str | Path, optional): Output file, written atomically.
        side (int): Height of the rows in pixels.

    Returns:
        np.ndarray: The panel, (H', W', 3), uint8, RGB.

    Raises:
        DataError: The maps of a column differ from the images in number or size, or a label has no
            colour.
    """
    panel = map_grid(
        'segmentation_panel', images, columns, lambda labels: paint_labels(labels, palette), side
    )
    panel = np.concatenate([panel, _legend(classes, palette, panel.shape[1])])
    if path is not None:
        save_image(path, panel)
    return panel
