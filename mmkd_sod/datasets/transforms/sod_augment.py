"""Augmentations of KD-SCFNet that mmcv and mmseg do not have.

Flips are mmseg's ``RandomFlip``; ``SODDataPreprocessor`` sets the random size of a batch.
"""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmkd_sod.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomBlur(BaseTransform):
    """Blur an image with a Gaussian kernel of random odd size.

    KD-SCFNet specifies probability and size only; OpenCV derives the standard deviation from the
    size.

    Args:
        prob (float): Probability of blurring.
        side (tuple[int, int]): Minimum and maximum side of the kernel, both odd.
    """

    def __init__(self, prob: float = 0.1, side: tuple[int, int] = (3, 9)) -> None:
        self.prob = prob
        self.side = side

    @cache_randomness
    def _random_side(self) -> int | None:
        if np.random.rand() >= self.prob:
            return None
        return int(np.random.choice(range(self.side[0], self.side[1] + 1, 2)))

    def transform(self, results: dict) -> dict:
        """Blur the image of a sample, or not."""
        side = self._random_side()
        if side:
            results['img'] = cv2.GaussianBlur(results['img'], (side, side), 0)
        return results


@TRANSFORMS.register_module()
class RandomContrastBrightness(BaseTransform):
    """Change an image to ``img * contrast + brightness``, clipped to 0 ... 255.

    Args:
        contrast (tuple[float, float]): Range of the random factor.
        brightness (float): Maximum absolute value of the random offset in grey levels.
    """

    def __init__(self, contrast: tuple[float, float] = (0.5, 1.5), brightness: float = 15) -> None:
        self.contrast = contrast
        self.brightness = brightness

    @cache_randomness
    def _random_change(self) -> tuple[float, float]:
        return (
            np.random.uniform(*self.contrast),
            np.random.uniform(-self.brightness, self.brightness),
        )

    def transform(self, results: dict) -> dict:
        """Change contrast and brightness of a sample's image."""
        contrast, brightness = self._random_change()
        changed = results['img'].astype(np.float32) * contrast + brightness
        results['img'] = changed.clip(0, 255).astype(results['img'].dtype)
        return results


@TRANSFORMS.register_module()
class RandomEdgeCrop(BaseTransform):
    """Crop a random part of each of the four sides, of the image and all its maps.

    Args:
        fraction (float): Maximum crop per side relative to height or width, below 1/2.
    """

    def __init__(self, fraction: float = 1 / 8) -> None:
        self.fraction = fraction

    @cache_randomness
    def _random_box(self, height: int, width: int) -> tuple[int, int, int, int]:
        top, bottom = np.random.randint(0, int(height * self.fraction) + 1, 2)
        left, right = np.random.randint(0, int(width * self.fraction) + 1, 2)
        return int(top), int(height - bottom), int(left), int(width - right)

    def transform(self, results: dict) -> dict:
        """Crop the image and maps of a sample."""
        top, bottom, left, right = self._random_box(*results['img'].shape[:2])
        for key in ('img', *results.get('seg_fields', [])):
            results[key] = results[key][top:bottom, left:right]
        results['img_shape'] = results['img'].shape[:2]
        return results
