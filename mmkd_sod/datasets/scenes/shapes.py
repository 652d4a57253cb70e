"""Shapes of the generated scenes, which are their classes, and masks of them."""

import math

import cv2
import numpy as np

# Disk and ring, square and cross, triangle and star differ in details only, so that the outer
# contour alone does not determine the class.
SHAPES = ('disk', 'square', 'triangle', 'star', 'ring', 'cross')

_FRACTION_BITS = 4  # sub-pixel corners for cv2.fillPoly


def _polygon(corners: int, radii=(1.0,), start: float = -math.pi / 2) -> np.ndarray:
    """Return corners on circles around the origin with alternating ``radii``."""
    angle = start + np.arange(corners) * (2 * math.pi / corners)
    radius = np.resize(np.asarray(radii, dtype=np.float64), corners)
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def _cross(arm: float = 0.3) -> np.ndarray:
    """Return a plus sign in the unit square with arms of half width ``arm``."""
    corners = [
        (arm, arm),
        (arm, 1),
        (-arm, 1),
        (-arm, arm),
        (-1, arm),
        (-1, -arm),
        (-arm, -arm),
        (-arm, -1),
        (arm, -1),
        (arm, -arm),
        (1, -arm),
        (1, arm),
    ]
    return np.array(corners, dtype=np.float64)


# Contours of about the size of the unit circle; a second contour is a hole.
_CONTOURS = {
    'disk': (_polygon(48),),
    'square': (_polygon(4, (1.2,), math.pi / 4),),
    'triangle': (_polygon(3, (1.25,)),),
    'star': (_polygon(10, (1.25, 0.5)),),
    'ring': (_polygon(48, (1.05,)), _polygon(48, (0.6,))),
    'cross': (_cross(),),
}


def draw_mask(shape, center, radius, aspect, angle, width, height) -> np.ndarray:
    """Draw a shape as an anti-aliased mask.

    Args:
        shape (str): One of ``SHAPES``.
        center (tuple[float, float]): x, y in pixels.
        radius (float): Half the shape's size in pixels.
        aspect (float): Width over height before the rotation.
        angle (float): Rotation in radians.
        width (int): Width of the canvas in pixels.
        height (int): Height of the canvas in pixels.

    Returns:
        np.ndarray: (height, width), uint8, 255 inside, 0 outside, values between on edges.
    """
    stretch = np.array([math.sqrt(aspect), 1 / math.sqrt(aspect)]) * radius
    cos, sin = math.cos(angle), math.sin(angle)
    rotation = np.array([[cos, sin], [-sin, cos]])
    contours = [
        np.round(((contour * stretch) @ rotation + center) * (1 << _FRACTION_BITS)).astype(np.int32)
        for contour in _CONTOURS[shape]
    ]
    mask = np.zeros((height, width), dtype=np.uint8)
    # In one call, since fillPoly counts crossings and an inner contour then becomes a hole.
    cv2.fillPoly(mask, contours, 255, lineType=cv2.LINE_AA, shift=_FRACTION_BITS)
    return mask
