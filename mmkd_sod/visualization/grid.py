"""Grids of images with titles."""

from collections.abc import Callable

import numpy as np

from mmkd_sod.errors import DataError
from mmkd_sod.utils.images import write_image

from .drawing import font, resize, to_rgb

_MARGIN = 8  # pixels around every image


def _title_height(size: int) -> int:
    return sum(font(size).getmetrics()) + _MARGIN


def image_grid(rows, column_titles=None, row_titles=None, font_size: int = 16) -> np.ndarray:
    """Arrange images in rows and columns on a white background.

    Images of a row are resized to the height of its first image with their aspect ratio; a column
    is as wide as its widest image.

    Args:
        rows (Sequence[Sequence[np.ndarray]]): Images (H, W, 3) or (H, W), uint8, RGB; the same
            number in every row.
        column_titles (Sequence[str], optional): Titles above the columns.
        row_titles (Sequence[str], optional): Titles above the rows, left-aligned.
        font_size (int): Height of the titles in pixels.

    Returns:
        np.ndarray: (H', W', 3), uint8, RGB.

    Raises:
        DataError: There are no images, rows differ in length, the number of titles does not fit, or
            an image is not valid.
    """
    from PIL import Image, ImageDraw

    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        raise DataError(
            f'image_grid: got rows of {sorted(lengths)} images; give the same number '
            'in every row, at least one'
        )
    columns = lengths.pop()
    for what, titles, count in (('column', column_titles, columns), ('row', row_titles, len(rows))):
        if titles is not None and len(titles) != count:
            raise DataError(
                f'image_grid: got {len(titles)} {what} titles for {count} {what}s; '
                f'give one title per {what}'
            )
    rows = [[to_rgb(image) for image in row] for row in rows]
    for row in rows:
        height = row[0].shape[0]
        row[:] = [
            image
            if image.shape[0] == height
            else resize(image, max(1, round(image.shape[1] * height / image.shape[0])), height)
            for image in row
        ]
    widths = [max(row[column].shape[1] for row in rows) for column in range(columns)]
    title = _title_height(font_size)
    above = title if row_titles is not None else 0
    top = title if column_titles is not None else 0
    size = (
        _MARGIN + sum(width + _MARGIN for width in widths),
        _MARGIN + top + sum(row[0].shape[0] + above + _MARGIN for row in rows),
    )
    picture = Image.new('RGB', size, (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    lefts = _MARGIN + np.cumsum([0, *(width + _MARGIN for width in widths[:-1])])
    for text, left, width in zip(column_titles or [], lefts, widths, strict=False):
        draw.text(
            (int(left + width / 2), _MARGIN),
            text,
            fill=(0, 0, 0),
            font=font(font_size),
            anchor='ma',
        )
    y = _MARGIN + top
    for number, row in enumerate(rows):
        if row_titles is not None:
            draw.text((_MARGIN, y), row_titles[number], fill=(70, 70, 70), font=font(font_size))
            y += above
        for image, left, width in zip(row, lefts, widths, strict=True):
            picture.paste(Image.fromarray(image), (int(left + (width - image.shape[1]) // 2), y))
        y += row[0].shape[0] + _MARGIN
    return np.asarray(picture).copy()


def map_grid(name: str, images, columns: dict, draw: Callable, side: int) -> np.ndarray:
    """Arrange images and maps (H, W) of several sources, drawn by ``draw``, one row per image.

    Raises:
        DataError: The maps of a column differ from the images in number or size.
    """
    for title, maps in columns.items():
        if [m.shape for m in maps] != [image.shape[:2] for image in images]:
            raise DataError(
                f'{name}: the maps of column {title!r} differ from the {len(images)} '
                'images in number or size; give one map per image, of its size'
            )
    rows = []
    for index, image in enumerate(images):
        width = max(1, round(image.shape[1] * side / image.shape[0]))
        pictures = (image, *(draw(maps[index]) for maps in columns.values()))
        rows.append([resize(picture, width, side) for picture in pictures])
    return image_grid(rows, ['image', *columns])


def save_image(path, image: np.ndarray) -> None:
    """Write an RGB image (H, W, 3) or (H, W), uint8, atomically, in the format of the suffix."""
    write_image(path, to_rgb(image)[..., ::-1])
