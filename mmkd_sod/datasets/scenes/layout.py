"""Random layouts of scenes: objects, background and distractors."""

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from .shapes import SHAPES
from .textures import TEXTURES, Texture

# Ranges of depth, from 0 (far) to 1 (near); all objects are nearer than the background.
BACKGROUND_DEPTH = (0.05, 0.22)
OBJECT_DEPTH = (0.35, 0.95)
# Radians; a small network learns such shapes within minutes, but not those of any rotation.
MAX_TILT = 0.4


@dataclass(frozen=True)
class SceneObject:
    """A textured shape.

    Attributes:
        shape (str): One of ``SHAPES``.
        center (tuple[float, float]): x, y in pixels.
        radius (float): Half the size in pixels.
        aspect (float): Width over height before the rotation.
        angle (float): Rotation in radians.
        depth (float): 0 (far) to 1 (near); nearer objects occlude others.
        texture (Texture): Texture of the surface.
    """

    shape: str
    center: tuple
    radius: float
    aspect: float
    angle: float
    depth: float
    texture: Texture


@dataclass(frozen=True)
class Stroke:
    """A distractor on the background: a line through points or, with one point, a blob.

    Attributes:
        points (tuple): x, y pairs in pixels.
        thickness (float): Width of the line or radius of the blob in pixels.
        color (tuple): (B, G, R), 0 to 255.
    """

    points: tuple
    thickness: float
    color: tuple


@dataclass(frozen=True)
class SceneLayout:
    """Complete description of a scene, which renders to the same arrays each time.

    Attributes:
        width (int): Width of the canvas in pixels.
        height (int): Height of the canvas in pixels.
        background (Texture): Texture of the background.
        objects (tuple[SceneObject]): Objects in any order; depths determine occlusion.
        strokes (tuple[Stroke]): Distractors without depth and label.
        light (tuple[float, float]): Change of brightness from left to right and from top to bottom.
        noise (float): Standard deviation of sensor noise in grey levels.
        seed (int): Seed of the noise of image and depth.
    """

    width: int
    height: int
    background: Texture
    objects: tuple
    strokes: tuple
    light: tuple
    noise: float
    seed: int


def _seed(rng) -> int:
    return int(rng.integers(2**31))


def _color(rng, saturation=(0.25, 0.95), value=(0.25, 0.95)) -> tuple:
    """Draw a random (B, G, R) colour, 0 to 255."""
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return tuple(round(255 * channel) for channel in reversed(rgb))


def _distance(color, other) -> float:
    return float(np.linalg.norm(np.subtract(color, other)))


def _color_unlike(rng, other, least: float) -> tuple:
    """Draw a colour with a BGR distance of at least ``least``, or the farthest of twelve."""
    best = _color(rng)
    for _ in range(11):
        if _distance(best, other) >= least:
            break
        best = max(best, _color(rng), key=lambda color: _distance(color, other))
    return best


def _texture(rng, side: float, base: tuple, period=(0.04, 0.12), spread: float = 70) -> Texture:
    """Draw a texture near the colour ``base``; ``period`` is a range in units of ``side``."""
    shift = rng.uniform(-spread, spread) + rng.uniform(-spread / 2, spread / 2, size=3)
    second = tuple(int(value) for value in np.clip(np.asarray(base) + shift, 0, 255))
    return Texture(
        kind=str(rng.choice(TEXTURES)),
        colors=(base, second),
        period=float(rng.uniform(*period) * side),
        angle=float(rng.uniform(0, math.pi)),
        seed=_seed(rng),
    )


def random_background(rng, side: float) -> Texture:
    """Draw a muted background texture; ``side`` is the shorter side of the canvas in pixels."""
    base = _color(rng, saturation=(0.05, 0.6), value=(0.2, 0.85))
    return _texture(rng, side, base, period=(0.08, 0.3), spread=45)


def random_strokes(rng, width: int, height: int, count: int) -> tuple:
    """Draw ``count`` distractors, lines and blobs of any colour, as a tuple of `Stroke`."""
    side, strokes = min(width, height), []
    for _ in range(count):
        point = rng.random(2) * (width, height)
        if rng.random() < 0.35:
            points, thickness = [point], rng.uniform(0.01, 0.035) * side
        else:
            steps = rng.normal(scale=0.14 * side, size=(int(rng.integers(1, 5)), 2))
            points = [point, *(point + np.cumsum(steps, axis=0))]
            thickness = rng.uniform(0.008, 0.03) * side
        strokes.append(
            Stroke(
                points=tuple((float(x), float(y)) for x, y in points),
                thickness=float(thickness),
                color=_color(rng),
            )
        )
    return tuple(strokes)


def place_objects(
    rng, width: int, height: int, shapes, background: tuple, radius=(0.1, 0.22)
) -> tuple:
    """Place shapes at random; they may overlap and touch the border.

    Args:
        rng (np.random.Generator): Random generator.
        width (int): Width of the canvas in pixels.
        height (int): Height of the canvas in pixels.
        shapes (Sequence[str]): Shapes to place, one object each.
        background (tuple): (B, G, R) colour of the background, from which objects differ.
        radius (tuple[float, float]): Range of the radius in units of the shorter side.

    Returns:
        tuple[SceneObject]: Objects from far to near.
    """
    side = min(width, height)
    near, far = OBJECT_DEPTH[1], OBJECT_DEPTH[0]
    gap = (near - far) / max(1, len(shapes))
    placed: list[SceneObject] = []
    for index, shape in enumerate(shapes):
        size = float(np.exp(rng.uniform(np.log(radius[0]), np.log(radius[1]))) * side)
        # A few attempts prevent complete occlusion; partial overlap is allowed.
        for _ in range(6):
            center = rng.uniform(0.06, 0.94, size=2) * (width, height)
            if all(
                math.dist(center, other.center) > 0.75 * (size + other.radius) for other in placed
            ):
                break
        base = _color_unlike(rng, background, least=110)
        placed.append(
            SceneObject(
                shape=shape,
                center=(float(center[0]), float(center[1])),
                radius=size,
                aspect=float(np.exp(rng.uniform(-0.22, 0.22))),
                angle=float(rng.uniform(-MAX_TILT, MAX_TILT)),
                # Separate depth ranges, so that slant and noise never change the order.
                depth=float(far + gap * (index + 0.5) + rng.uniform(-0.2, 0.2) * gap),
                texture=_texture(rng, side, base),
            )
        )
    return tuple(placed)


def random_layout(
    rng, width: int, height: int, shapes=None, objects=(2, 5), strokes=(2, 8)
) -> SceneLayout:
    """Draw a random scene.

    Args:
        rng (np.random.Generator): Random generator.
        width (int): Width of the canvas in pixels.
        height (int): Height of the canvas in pixels.
        shapes (Sequence[str], optional): Shapes of the objects from far to near; default: random
            ones of ``SHAPES``.
        objects (tuple[int, int]): Minimum and maximum number of objects without ``shapes``.
        strokes (tuple[int, int]): Minimum and maximum number of distractors.

    Returns:
        SceneLayout: The layout.
    """
    if shapes is None:
        shapes = rng.choice(SHAPES, size=int(rng.integers(objects[0], objects[1] + 1))).tolist()
    background = random_background(rng, min(width, height))
    return SceneLayout(
        width=width,
        height=height,
        background=background,
        objects=place_objects(rng, width, height, shapes, background.colors[0]),
        strokes=random_strokes(rng, width, height, int(rng.integers(strokes[0], strokes[1] + 1))),
        light=(float(rng.uniform(-0.35, 0.35)), float(rng.uniform(-0.35, 0.35))),
        noise=float(rng.uniform(2, 9)),
        seed=_seed(rng),
    )
