"""The augmentations of KD-SCFNet that mmcv and mmseg do not have.

Flips are mmseg's ``RandomFlip``; the random side of a batch is the data preprocessor's.
"""
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmkd_sod.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomBlur(BaseTransform):
    """Blur an image with a Gaussian of a random odd side.

    The paper's recipe names probability and side only; the width of the Gaussian follows from the
    side as OpenCV derives it.

    Args:
        prob (float): Probability of a blur.
        side (tuple[int, int]): Smallest and largest side, both odd.
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
        side = self._random_side()
        if side:
            results['img'] = cv2.GaussianBlur(results['img'], (side, side), 0)
        return results


@TRANSFORMS.register_module()
class RandomContrastBrightness(BaseTransform):
    """``img * contrast + brightness``, both drawn anew for each image, clipped to 0 ... 255.

    Args:
        contrast (tuple[float, float]): Bounds of the factor.
        brightness (float): Bound of what is added, in grey levels, either way.
    """

    def __init__(self, contrast: tuple[float, float] = (0.5, 1.5),
                 brightness: float = 15) -> None:
        self.contrast = contrast
        self.brightness = brightness

    @cache_randomness
    def _random_change(self) -> tuple[float, float]:
        return (np.random.uniform(*self.contrast),
                np.random.uniform(-self.brightness, self.brightness))

    def transform(self, results: dict) -> dict:
        contrast, brightness = self._random_change()
        changed = results['img'].astype(np.float32) * contrast + brightness
        results['img'] = changed.clip(0, 255).astype(results['img'].dtype)
        return results


@TRANSFORMS.register_module()
class RandomEdgeCrop(BaseTransform):
    """Cut up to a fraction off each of the four sides, from the image and all its maps.

    Args:
        fraction (float): Largest part of height or width cut off one side, below 1/2.
    """

    def __init__(self, fraction: float = 1 / 8) -> None:
        self.fraction = fraction

    @cache_randomness
    def _random_box(self, height: int, width: int) -> tuple[int, int, int, int]:
        top, bottom = np.random.randint(0, int(height * self.fraction) + 1, 2)
        left, right = np.random.randint(0, int(width * self.fraction) + 1, 2)
        return int(top), int(height - bottom), int(left), int(width - right)

    def transform(self, results: dict) -> dict:
        top, bottom, left, right = self._random_box(*results['img'].shape[:2])
        for key in ('img', *results.get('seg_fields', [])):
            results[key] = results[key][top:bottom, left:right]
        results['img_shape'] = results['img'].shape[:2]
        return results
