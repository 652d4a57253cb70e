"""Generated RGB-D groups for co-salient object detection."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .layout import SceneLayout, place_objects, random_background, random_layout
from .render import Scene, render
from .shapes import SHAPES
from .store import check_settings, write_scene_image, write_set
from .textures import smooth_noise

# Increase it if the same settings produce different files than before.
VERSION = 1
SPLITS = ('train', 'val')
FOLDERS = ('image', 'depth', 'mask')
# Probability that the object of the group is the nearest one; else depth is misleading.
NEAREST = 0.85
# Range of the random scale of a depth map, so that grey levels differ between scenes.
SCALE = (0.45, 1.0)
# Amplitudes of sensor noise per pixel and over patches, for depth in [0, 1].
PIXEL_NOISE, PATCH_NOISE = 0.04, 0.15


@dataclass(frozen=True)
class GroupSettings:
    """Settings of a generated set of groups.

    Attributes:
        train (int): Number of training groups.
        val (int): Number of validation groups.
        images (int): Images per group.
        width (int): Width of the images in pixels, at least 64.
        height (int): Height of the images in pixels, at least 64.
        seed (int): Seed of the whole set, at least 0. An image depends only on the seed, its split,
            the index of its group and its own index.

    Raises:
        ConfigError: A setting is not an integer or too small.
    """

    train: int = 36
    val: int = 12
    images: int = 8
    width: int = 160
    height: int = 160
    seed: int = 0

    def __post_init__(self):
        check_settings(self, train=1, val=1, images=1, width=64, height=64, seed=0)


def group_name(split: str, group: int) -> str:
    """Return the folder name of a group: its index and its common shape."""
    return f'{group:03d}_{group_shape(split, group)}'


def group_shape(split: str, group: int) -> str:
    """Return the common shape of a group; shapes alternate, with an offset between the splits."""
    return SHAPES[(group + 2 * SPLITS.index(split)) % len(SHAPES)]


def group_layout(rng, width: int, height: int, shape: str) -> SceneLayout:
    """Draw a scene with one object of the group's shape and one to three of other shapes.

    The object of the group is larger than the others and usually the nearest.

    Args:
        rng (np.random.Generator): Random generator.
        width (int): Width of the canvas in pixels.
        height (int): Height of the canvas in pixels.
        shape (str): Common shape of the group.

    Returns:
        SceneLayout: The layout.
    """
    others = [other for other in SHAPES if other != shape]
    shapes = rng.choice(others, size=int(rng.integers(1, 4))).tolist()
    place = len(shapes) if rng.random() < NEAREST else int(rng.integers(len(shapes)))
    shapes.insert(place, shape)
    background = random_background(rng, min(width, height))
    objects = [
        dataclasses.replace(
            item,
            radius=item.radius * rng.uniform(*((1.1, 1.5) if item.shape == shape else (0.6, 0.9))),
        )
        for item in place_objects(rng, width, height, shapes, background.colors[0])
    ]
    return dataclasses.replace(
        random_layout(rng, width, height, shapes=()), background=background, objects=tuple(objects)
    )


def noisy_depth(rng, depth: np.ndarray) -> np.ndarray:
    """Simulate the depth map of a cheap sensor: unknown scale, noise and errors over patches.

    Args:
        rng (np.random.Generator): Random generator.
        depth (np.ndarray): (H, W), uint8.

    Returns:
        np.ndarray: (H, W), uint8.
    """
    height, width = depth.shape
    patches = smooth_noise(rng, height, width, min(height, width) / 4) - 0.5
    error = rng.standard_normal(depth.shape, dtype=np.float32) * PIXEL_NOISE + patches * PATCH_NOISE
    return np.clip(depth * rng.uniform(*SCALE) + 255 * error, 0, 255).round().astype(np.uint8)


def make_group_image(
    settings: GroupSettings, split: str, group: int, index: int
) -> tuple[Scene, np.ndarray, np.ndarray]:
    """Render one image of a group.

    Args:
        settings (GroupSettings): Size and seed.
        split (str): One of ``SPLITS``.
        group (int): Index of the group, from 0.
        index (int): Index of the image in the group, from 0.

    Returns:
        tuple: The scene, its noisy depth map and the mask of the group's object; both (H, W),
        uint8, the mask 0 or 255.
    """
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), group, index])
    label = SHAPES.index(group_shape(split, group))
    while True:
        scene = render(group_layout(rng, settings.width, settings.height, SHAPES[label]))
        # Drawn again if another object or the border hides it.
        if label in scene.labels:
            number = 1 + scene.labels.index(label)
            return (
                scene,
                noisy_depth(rng, scene.depth),
                (scene.instances == number).astype(np.uint8) * 255,
            )


def make_groups(root, settings: GroupSettings | None = None, progress: bool = True) -> bool:
    """Write a set of groups for ``mmkd_sod.RGBDCoSODDataset``, unless it exists already.

    The folders ``train`` and ``val`` each contain ``image`` (JPEG), ``depth`` (8-bit PNG, brighter
    is nearer) and ``mask`` (PNG, 0 or 255: the object with the common shape), with one folder per
    group; ``meta.json`` holds the settings. The set is written atomically.

    Args:
        root (str | Path): Folder of the set.
        settings (GroupSettings, optional): Settings; default: ``GroupSettings()``.
        progress (bool): Whether to show a progress bar.

    Returns:
        bool: True if the set was written, False if it existed.

    Raises:
        DataError: ``root`` has other content, which is not changed.
    """
    settings = settings or GroupSettings()

    def fill(folder: Path, advance) -> None:
        for split in SPLITS:
            for group in range(getattr(settings, split)):
                folders = [folder / split / kind / group_name(split, group) for kind in FOLDERS]
                for path in folders:
                    path.mkdir(parents=True)
                for index in range(settings.images):
                    scene, depth, mask = make_group_image(settings, split, group, index)
                    for path, array, suffix in zip(
                        folders, (scene.image, depth, mask), ('jpg', 'png', 'png'), strict=True
                    ):
                        write_scene_image(path / f'{index:04d}.{suffix}', array)
                    advance()

    return write_set(
        root,
        dataclasses.asdict(settings),
        VERSION,
        dict(classes=SHAPES),
        (settings.train + settings.val) * settings.images,
        fill,
        progress,
    )
