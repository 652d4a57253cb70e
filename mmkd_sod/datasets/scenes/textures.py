"""Two-colour textures for objects and backgrounds."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

TEXTURES = ('plain', 'stripes', 'checker', 'dots', 'clouds')


@dataclass(frozen=True)
class Texture:
    """A pattern of two colours.

    Attributes:
        kind (str): One of ``TEXTURES``.
        colors (tuple): Two (B, G, R) colours, 0 to 255.
        period (float): Length of the pattern in pixels.
        angle (float): Direction of the pattern in radians.
        seed (int): Seed of the random parts of the pattern.
    """

    kind: str
    colors: tuple
    period: float
    angle: float
    seed: int


def smooth_noise(rng, height: int, width: int, cell: float) -> np.ndarray:
    """Return noise (height, width), float32, in [0, 1], with a correlation length of ``cell``."""
    rows, columns = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
    coarse = rng.random((rows, columns), dtype=np.float32)
    return np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def blend_weights(texture: Texture, height: int, width: int) -> np.ndarray:
    """Return the weight of the second colour for each pixel.

    Args:
        texture (Texture): The texture.
        height (int): Height of the patch in pixels.
        width (int): Width of the patch in pixels.

    Returns:
        np.ndarray: (height, width), float32, in [0, 1].
    """
    rng = np.random.default_rng(texture.seed)
    if texture.kind == 'clouds':
        fine = smooth_noise(rng, height, width, texture.period / 2)
        return 0.6 * smooth_noise(rng, height, width, texture.period * 2) + 0.4 * fine
    if texture.kind == 'plain':
        return 0.35 * smooth_noise(rng, height, width, texture.period * 2)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    cos, sin = math.cos(texture.angle), math.sin(texture.angle)
    wave = 2 * math.pi / texture.period
    phase = rng.random(2) * 2 * math.pi
    along = np.sin((cos * x + sin * y) * wave + phase[0])
    if texture.kind == 'stripes':
        value = along
    else:
        across = np.sin((cos * y - sin * x) * wave + phase[1])
        value = along * across if texture.kind == 'checker' else along + across - 0.6
    return np.clip(0.5 + 2 * value, 0, 1).astype(np.float32)


def paint(texture: Texture, height: int, width: int) -> np.ndarray:
    """Return a patch (height, width, 3), float32, BGR, 0 to 255, of a texture."""
    weight = blend_weights(texture, height, width)[..., None]
    first, second = np.asarray(texture.colors, dtype=np.float32)
    return first + (second - first) * weight
