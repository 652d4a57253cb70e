"""Writing a set of generated scenes."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .layout import random_layout
from .render import Scene, render
from .shapes import SHAPES
from .store import check_settings, write_scene_image, write_set

# Increase it if the same settings produce different files than before.
VERSION = 2
SPLITS = ('train', 'val')
FOLDERS = ('images', 'masks', 'saliency', 'depth')


@dataclass(frozen=True)
class SceneSettings:
    """Settings of a generated set of scenes.

    Attributes:
        train (int): Number of training images.
        val (int): Number of validation images.
        width (int): Width of the images in pixels, at least 64.
        height (int): Height of the images in pixels, at least 64.
        seed (int): Seed of the whole set, at least 0. An image depends only on the seed, its split
            and its index.

    Raises:
        ConfigError: A setting is not an integer or too small.
    """

    train: int = 400
    val: int = 100
    width: int = 160
    height: int = 160
    seed: int = 0

    def __post_init__(self):
        check_settings(self, train=1, val=1, width=64, height=64, seed=0)


def make_scene(settings: SceneSettings, split: str, index: int) -> Scene:
    """Render image ``index`` of a split.

    Args:
        settings (SceneSettings): Size and seed.
        split (str): One of ``SPLITS``.
        index (int): Index of the image, from 0.

    Returns:
        Scene: The rendered scene.
    """
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), index])
    return render(random_layout(rng, settings.width, settings.height))


def instance_annotations(scene: Scene) -> list:
    """Return the COCO annotations of a scene, without ids.

    Boxes enclose the visible pixels: [x, y, width, height] from pixel edge to pixel edge.
    ``segmentation`` is a run-length encoding, since rings have holes; ``area`` counts visible
    pixels; ``salient`` is 1 for the salient instance.

    Args:
        scene (Scene): The rendered scene.

    Returns:
        list[dict]: One annotation per instance, with category ids from 1.
    """
    from pycocotools import mask as coco_mask

    annotations = []
    for number, label in enumerate(scene.labels, start=1):
        visible = (scene.instances == number).astype(np.uint8)
        rle = coco_mask.encode(np.asfortranarray(visible))
        annotations.append(
            dict(
                category_id=label + 1,
                bbox=list(cv2.boundingRect(visible)),
                area=int(np.count_nonzero(visible)),
                iscrowd=0,
                segmentation=dict(size=rle['size'], counts=rle['counts'].decode('ascii')),
                salient=int(number == scene.salient),
            )
        )
    return annotations


def class_mask(scene: Scene) -> np.ndarray:
    """Return the class of every pixel (H, W), uint8: 0 background, else 1 + index of ``SHAPES``."""
    return np.array([0, *(label + 1 for label in scene.labels)], dtype=np.uint8)[scene.instances]


def _write_split(root: Path, settings: SceneSettings, split: str, advance) -> None:
    for kind in FOLDERS:
        (root / split / kind).mkdir(parents=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for index in range(getattr(settings, split)):
        scene = make_scene(settings, split, index)
        name, folder = f'{index:06d}', root / split
        write_scene_image(folder / 'images' / f'{name}.jpg', scene.image)
        write_scene_image(folder / 'masks' / f'{name}.png', class_mask(scene))
        write_scene_image(folder / 'depth' / f'{name}.png', scene.depth)
        salient = (scene.instances == scene.salient) & (scene.instances > 0)
        write_scene_image(folder / 'saliency' / f'{name}.png', salient.astype(np.uint8) * 255)
        images.append(
            dict(id=index, file_name=f'{name}.jpg', width=settings.width, height=settings.height)
        )
        for annotation in instance_annotations(scene):
            annotations.append(dict(id=len(annotations) + 1, image_id=index, **annotation))
        advance()
    categories = [dict(id=number, name=name) for number, name in enumerate(SHAPES, start=1)]
    content = dict(images=images, annotations=annotations, categories=categories)
    path = root / 'annotations' / f'{split}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content) + '\n', encoding='utf-8')


def make_scenes(root, settings: SceneSettings | None = None, progress: bool = True) -> bool:
    """Write a set of scenes, unless it exists already.

    The folders ``train`` and ``val`` each contain ``images`` (JPEG), ``masks`` (PNG, class of each
    pixel: 0 background, else 1 + index of ``SHAPES``), ``saliency`` (PNG, 0 or 255, the salient
    object, see ``render.salient_instance``) and ``depth`` (8-bit PNG, brighter is nearer). COCO
    annotations are in ``annotations/{train,val}.json``; ``meta.json`` holds the settings. The set
    is written atomically.

    Args:
        root (str | Path): Folder of the set.
        settings (SceneSettings, optional): Settings; default: ``SceneSettings()``.
        progress (bool): Whether to show a progress bar.

    Returns:
        bool: True if the set was written, False if it existed.

    Raises:
        DataError: ``root`` has other content, which is not changed.
    """
    settings = settings or SceneSettings()

    def fill(folder, advance):
        for split in SPLITS:
            _write_split(folder, settings, split, advance)

    return write_set(
        root,
        dataclasses.asdict(settings),
        VERSION,
        dict(classes=SHAPES),
        settings.train + settings.val,
        fill,
        progress,
    )
