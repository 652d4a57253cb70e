"""Drawing saliency maps."""

import numpy as np

from .grid import map_grid, save_image


def saliency_overlay(
    image: np.ndarray, saliency: np.ndarray, colour=(230, 60, 40), strength: float = 0.55
) -> np.ndarray:
    """Tint the salient pixels of an image.

    Args:
        image (np.ndarray): (H, W, 3), uint8.
        saliency (np.ndarray): (H, W), in [0, 1].
        colour (Sequence[int]): Colour of the tint, in the image's channel order.
        strength (float): Opacity of the tint where the map is 1.

    Returns:
        np.ndarray: (H, W, 3), uint8.
    """
    share = strength * saliency[..., None].astype(np.float32)
    mixed = image * (1 - share) + np.asarray(colour, np.float32) * share
    return (mixed + 0.5).clip(0, 255).astype(np.uint8)


def cut_out(image: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Return the image with the map as alpha: (H, W, 4), uint8, in the image's channel order."""
    alpha = (saliency * 255 + 0.5).clip(0, 255).astype(np.uint8)
    return np.dstack([image, alpha])


def saliency_panel(images, columns: dict, path=None, side: int = 240) -> np.ndarray:
    """Draw images and saliency maps of several sources side by side, with one row per image.

    Args:
        images (Sequence[np.ndarray]): (H, W, 3), uint8, RGB.
        columns (dict[str, Sequence[np.ndarray]]): Title, such as 'teacher', to a map (H, W) in
            [0, 1] for each image.
        path (str | Path, optional): Output file, written atomically.
        side (int): Height of the rows in pixels.

    Returns:
        np.ndarray: The panel, (H', W', 3), uint8, RGB.

    Raises:
        DataError: The maps of a column differ from the images in number or size.
    """
    panel = map_grid(
        'saliency_panel',
        images,
        columns,
        lambda saliency: (saliency * 255 + 0.5).clip(0, 255).astype(np.uint8),
        side,
    )
    if path is not None:
        save_image(path, panel)
    return panel
