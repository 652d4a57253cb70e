"""Generated RGB-D groups for co-salient object detection."""
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmkd_sod.errors import ConfigError

from .layout import SceneLayout, place_objects, random_background, random_layout
from .render import Scene, render
from .shapes import SHAPES
from .store import write_image, write_set
from .textures import smooth_noise

# Raise it when the same settings give other files than before.
VERSION = 1
SPLITS = ('train', 'val')
FOLDERS = ('image', 'depth', 'mask')
# How often the group's object is the nearest one; else depth misleads.
NEAREST = 0.85
# The range of a map differs from scene to scene: near is not the same grey everywhere.
SCALE = (0.45, 1.0)
# Sensor noise of the depth map, on the scale of 0 to 1: of each pixel, and over patches.
PIXEL_NOISE, PATCH_NOISE = 0.04, 0.15


@dataclass(frozen=True)
class GroupSettings:
    """What a set of groups is made from.

    Attributes:
        train (int): Number of training groups.
        val (int): Number of validation groups.
        images (int): Images a group.
        width (int): Width of the images in pixels, at least 64.
        height (int): Height of the images in pixels, at least 64.
        seed (int): Seed of the whole set, not negative. An image depends on the seed, its split,
            its group's and its own number only.
    """
    train: int = 36
    val: int = 12
    images: int = 8
    width: int = 160
    height: int = 160
    seed: int = 0

    def __post_init__(self):
        for name, least in (('train', 1), ('val', 1), ('images', 1), ('width', 64),
                            ('height', 64), ('seed', 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f'GroupSettings: {name}={value!r} should be a whole number of at least {least}')


def group_name(split: str, group: int) -> str:
    """Folder of a group: its number and the shape that recurs in it."""
    return f'{group:03d}_{group_shape(split, group)}'


def group_shape(split: str, group: int) -> str:
    """The shape that recurs through a group; classes take turns, shifted between the splits."""
    return SHAPES[(group + 2 * SPLITS.index(split)) % len(SHAPES)]


def group_layout(rng, width: int, height: int, shape: str) -> SceneLayout:
    """A scene with one object of the group's shape among one to three of other shapes.

    The group's object is larger than the others and mostly the nearest.

    Args:
        rng (np.random.Generator): Source of randomness.
        width (int): Width of the canvas in pixels.
        height (int): Height of the canvas in pixels.
        shape (str): The shape that recurs.

    Returns:
        SceneLayout: What to render.
    """
    others = [other for other in SHAPES if other != shape]
    shapes = rng.choice(others, size=int(rng.integers(1, 4))).tolist()
    place = len(shapes) if rng.random() < NEAREST else int(rng.integers(len(shapes)))
    shapes.insert(place, shape)
    background = random_background(rng, min(width, height))
    objects = [
        dataclasses.replace(item, radius=item.radius * rng.uniform(*(
            (1.1, 1.5) if item.shape == shape else (0.6, 0.9))))
        for item in place_objects(rng, width, height, shapes, background.colors[0])]
    return dataclasses.replace(random_layout(rng, width, height, shapes=()),
                               background=background, objects=tuple(objects))


def noisy_depth(rng, depth: np.ndarray) -> np.ndarray:
    """A depth map as a cheap sensor gives it: of unknown scale, noisy, and off in patches.

    Args:
        rng (np.random.Generator): Source of randomness.
        depth (np.ndarray): (H, W), uint8.

    Returns:
        np.ndarray: (H, W), uint8.
    """
    height, width = depth.shape
    patches = smooth_noise(rng, height, width, min(height, width) / 4) - 0.5
    error = rng.standard_normal(depth.shape, dtype=np.float32) * PIXEL_NOISE + patches * PATCH_NOISE
    return np.clip(depth * rng.uniform(*SCALE) + 255 * error, 0, 255).round().astype(np.uint8)


def make_group_image(settings: GroupSettings, split: str, group: int,
                     index: int) -> tuple[Scene, np.ndarray, np.ndarray]:
    """Render one image of a group.

    Args:
        settings (GroupSettings): Size and seed.
        split (str): One of ``SPLITS``.
        group (int): Number of the group, from 0.
        index (int): Number of the image in it, from 0.

    Returns:
        tuple: The scene, its depth map with noise, and the mask of the group's object, both
        (H, W) uint8, the mask 0 or 255.
    """
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), group, index])
    label = SHAPES.index(group_shape(split, group))
    while True:
        scene = render(group_layout(rng, settings.width, settings.height, SHAPES[label]))
        # Another object, or the border, may hide it.
        if label in scene.labels:
            number = 1 + scene.labels.index(label)
            return (scene, noisy_depth(rng, scene.depth),
                    (scene.instances == number).astype(np.uint8) * 255)


def make_groups(root, settings: GroupSettings | None = None, progress: bool = True) -> bool:
    """Write a set of groups, unless it is there already.

    The folder then holds, for each of ``train`` and ``val``, ``image`` (JPEG), ``depth`` (8-bit
    PNG, brighter is nearer) and ``mask`` (PNG, 0 or 255: the object whose shape recurs through the
    group), each with one folder a group, and ``meta.json``: what
    :class:`mmkd_sod.RGBDCoSODDataset` reads. An interrupted run leaves no half set.

    Args:
        root (str | Path): The set's folder.
        settings (GroupSettings, optional): What to make; the defaults when not given.
        progress (bool): Show a progress bar with the time left.

    Returns:
        bool: True when the set was made, False when it was there.

    Raises:
        DataError: ``root`` holds something else, which is left alone.
    """
    settings = settings or GroupSettings()

    def fill(folder: Path, advance) -> None:
        for split in SPLITS:
            for group in range(getattr(settings, split)):
                places = [folder / split / kind / group_name(split, group) for kind in FOLDERS]
                for place in places:
                    place.mkdir(parents=True)
                for index in range(settings.images):
                    scene, depth, mask = make_group_image(settings, split, group, index)
                    for place, array, suffix in zip(
                            places, (scene.image, depth, mask), ('jpg', 'png', 'png'), strict=True):
                        write_image(place / f'{index:04d}.{suffix}', array)
                    advance()

    return write_set(root, dataclasses.asdict(settings), VERSION, dict(classes=SHAPES),
                     (settings.train + settings.val) * settings.images, fill, progress)
