"""Rendering a layout to image, instance map and depth."""

from dataclasses import dataclass

import cv2
import numpy as np

from .layout import BACKGROUND_DEPTH, SceneLayout
from .shapes import SHAPES, draw_mask
from .textures import paint

# Objects with a smaller visible share or fewer visible pixels are omitted.
MIN_VISIBLE = 0.35
MIN_PIXELS = 48
_DEPTH_NOISE = 0.008  # standard deviation, for depth in [0, 1]


@dataclass(frozen=True)
class Scene:
    """A rendered scene of H x W pixels.

    Attributes:
        image (np.ndarray): (H, W, 3), uint8, BGR.
        instances (np.ndarray): (H, W), uint8, 0 for background, k for the k-th of ``labels``.
        labels (tuple[int]): Class of each instance, an index into ``SHAPES``; from near to far.
        depth (np.ndarray): (H, W), uint8, brighter is nearer, with noise.
        salient (int): Number of the salient instance, from 1; 0 in an empty scene.
    """

    image: np.ndarray
    instances: np.ndarray
    labels: tuple
    depth: np.ndarray
    salient: int


def visible_objects(layout: SceneLayout) -> list:
    """Return the objects that are visible enough, from near to far.

    Omitted objects occlude nothing, so that exactly the drawn objects are labelled.

    Returns:
        list[tuple[SceneObject, np.ndarray, np.ndarray]]: Object, anti-aliased mask of its full
        shape (H, W), uint8, and mask of its visible pixels (H, W), bool.
    """
    kept = []
    hidden = np.zeros((layout.height, layout.width), dtype=bool)
    for item in sorted(layout.objects, key=lambda item: -item.depth):
        alpha = draw_mask(
            item.shape,
            item.center,
            item.radius,
            item.aspect,
            item.angle,
            layout.width,
            layout.height,
        )
        whole = alpha >= 128
        visible = whole & ~hidden
        pixels = int(np.count_nonzero(visible))
        if pixels >= max(MIN_PIXELS, MIN_VISIBLE * np.count_nonzero(whole)):
            kept.append((item, alpha, visible))
            hidden |= whole
    return kept


def _draw_strokes(canvas: np.ndarray, strokes) -> None:
    """Draw distractors on an (H, W, 3), uint8 canvas in place."""
    for stroke in strokes:
        points = np.round(np.asarray(stroke.points) * 16).astype(np.int32)
        if len(points) == 1:
            center = tuple(int(value) for value in points[0])
            cv2.circle(
                canvas, center, round(stroke.thickness * 16), stroke.color, -1, cv2.LINE_AA, shift=4
            )
        else:
            cv2.polylines(
                canvas,
                [points],
                False,
                stroke.color,
                max(1, round(stroke.thickness)),
                cv2.LINE_AA,
                shift=4,
            )


def _plane(height: int, width: int, across: float, down: float) -> np.ndarray:
    """Return a plane (height, width), float32, 0 in the middle, with total slopes."""
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32) * across
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32) * down
    return y[:, None] + x[None, :]


def salient_instance(image: np.ndarray, instances: np.ndarray, count: int) -> int:
    """Return the instance with the largest size and contrast.

    The measure is the square root of the visible area times the CIE Lab distance between the mean
    colours of the instance and of a band around it.

    Args:
        image (np.ndarray): (H, W, 3), uint8, BGR.
        instances (np.ndarray): (H, W), uint8, with values 0 to ``count``.
        count (int): Number of instances.

    Returns:
        int: Number from 1 to ``count``; 0 if ``count`` is 0.
    """
    if not count:
        return 0
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    band = max(3, round(min(instances.shape) * 0.05)) * 2 + 1
    kernel = np.ones((band, band), dtype=np.uint8)
    scores = []
    for number in range(1, count + 1):
        inside = (instances == number).astype(np.uint8)
        around = cv2.dilate(inside, kernel) - inside
        contrast = np.subtract(cv2.mean(lab, inside)[:3], cv2.mean(lab, around)[:3])
        scores.append(np.sqrt(np.count_nonzero(inside)) * np.linalg.norm(contrast))
    return int(np.argmax(scores)) + 1


def render(layout: SceneLayout) -> Scene:
    """Render a layout; deterministic.

    Args:
        layout (SceneLayout): The layout.

    Returns:
        Scene: Image, instances, labels, depth and the salient instance.
    """
    height, width = layout.height, layout.width
    rng = np.random.default_rng(layout.seed)
    ground = paint(layout.background, height, width).astype(np.uint8)
    _draw_strokes(ground, layout.strokes)
    canvas = ground.astype(np.float32)
    tilt = rng.uniform(-0.5, 0.5, size=2) * (BACKGROUND_DEPTH[1] - BACKGROUND_DEPTH[0])
    depth = np.mean(BACKGROUND_DEPTH, dtype=np.float32) + _plane(height, width, *tilt)
    instances = np.zeros((height, width), dtype=np.uint8)
    kept = visible_objects(layout)
    for number, (item, alpha, visible) in reversed(list(enumerate(kept, start=1))):
        x, y, w, h = cv2.boundingRect(alpha)
        box = (slice(y, y + h), slice(x, x + w))
        weight = (alpha[box].astype(np.float32) / 255)[..., None]
        # Shading, so that uniform colour does not reveal objects.
        shade = 1 + _plane(h, w, *rng.uniform(-0.35, 0.35, size=2))[..., None]
        canvas[box] += (paint(item.texture, h, w) * shade - canvas[box]) * weight
        slope = rng.uniform(-0.01, 0.01, size=2)
        whole = alpha[box] >= 128
        depth[box][whole] = (item.depth + _plane(h, w, *slope))[whole]
        instances[visible] = number
    canvas *= (1 + _plane(height, width, *layout.light))[..., None]
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * layout.noise
    image = np.clip(canvas, 0, 255).astype(np.uint8)
    # At most three standard deviations, so that noise never changes the order of objects.
    error = np.clip(rng.standard_normal(depth.shape, dtype=np.float32), -3, 3) * _DEPTH_NOISE
    depth = np.clip((depth + error) * 255, 0, 255).round().astype(np.uint8)
    labels = tuple(SHAPES.index(item.shape) for item, _, _ in kept)
    return Scene(image, instances, labels, depth, salient_instance(image, instances, len(kept)))
