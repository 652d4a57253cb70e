"""Small images and masks on disk, for the tests of salient object detection."""

import cv2
import numpy as np


def disc(height, width, seed=0):
    """Return an image with a bright disc, BGR uint8, and its mask, 0 or 255."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 120, (height, width, 3), dtype=np.uint8)
    mask = np.zeros((height, width), np.uint8)
    centre = (
        int(rng.integers(width // 3, 2 * width // 3 + 1)),
        int(rng.integers(height // 3, 2 * height // 3 + 1)),
    )
    cv2.circle(mask, centre, max(min(height, width) // 4, 1), 255, -1)
    image[mask > 0] = 255 - image[mask > 0]
    return image, mask


def write_set(root, shapes=((40, 60), (50, 50), (64, 33)), image='image', mask='mask'):
    """Write images ``0.png``, ... and masks of the given shapes; return the root."""
    for folder in (image, mask):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for i, shape in enumerate(shapes):
        picture, truth = disc(*shape, seed=i)
        cv2.imwrite(str(root / image / f'{i}.png'), picture)
        cv2.imwrite(str(root / mask / f'{i}.png'), truth)
    return root
