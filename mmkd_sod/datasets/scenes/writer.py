"""Write a set of generated scenes to disk."""
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmkd_sod.errors import ConfigError

from .layout import random_layout
from .render import Scene, render
from .shapes import SHAPES
from .store import write_image, write_set

# Raise it when the same settings give other files than before.
VERSION = 2
SPLITS = ('train', 'val')
FOLDERS = ('images', 'masks', 'saliency', 'depth')


@dataclass(frozen=True)
class SceneSettings:
    """What a set of scenes is made from.

    Attributes:
        train (int): Number of training images.
        val (int): Number of validation images.
        width (int): Width of the images in pixels, at least 64.
        height (int): Height of the images in pixels, at least 64.
        seed (int): Seed of the whole set, not negative. An image depends on the seed, its split and
            its own number only, not on how many are made.
    """
    train: int = 400
    val: int = 100
    width: int = 160
    height: int = 160
    seed: int = 0

    def __post_init__(self):
        for name, least in (('train', 1), ('val', 1), ('width', 64), ('height', 64), ('seed', 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f'SceneSettings: {name}={value!r} should be a whole number of at least {least}')


def make_scene(settings: SceneSettings, split: str, index: int) -> Scene:
    """Render image ``index`` of a split.

    Args:
        settings (SceneSettings): Size and seed.
        split (str): One of ``SPLITS``.
        index (int): Number of the image, from 0.

    Returns:
        Scene: The rendered scene.
    """
    rng = np.random.default_rng([settings.seed, SPLITS.index(split), index])
    return render(random_layout(rng, settings.width, settings.height))


def instance_annotations(scene: Scene) -> list:
    """COCO annotations of a scene, without ids.

    Boxes are tight around the visible part: [x, y, width, height] in pixels, from pixel edge to
    pixel edge. ``segmentation`` is a run-length code, since rings have holes, and ``area`` counts
    visible pixels. ``salient`` is 1 for the salient instance.

    Args:
        scene (Scene): The rendered scene.

    Returns:
        list[dict]: One an instance, category ids from 1.
    """
    from pycocotools import mask as coco_mask
    annotations = []
    for number, label in enumerate(scene.labels, start=1):
        visible = (scene.instances == number).astype(np.uint8)
        rle = coco_mask.encode(np.asfortranarray(visible))
        annotations.append(dict(
            category_id=label + 1, bbox=list(cv2.boundingRect(visible)),
            area=int(np.count_nonzero(visible)), iscrowd=0,
            segmentation=dict(size=rle['size'], counts=rle['counts'].decode('ascii')),
            salient=int(number == scene.salient)))
    return annotations


def class_mask(scene: Scene) -> np.ndarray:
    """Class of every pixel: (H, W) uint8, 0 background, 1 + index into ``SHAPES`` elsewhere."""
    return np.array([0, *(label + 1 for label in scene.labels)], dtype=np.uint8)[scene.instances]


def _write_split(root: Path, settings: SceneSettings, split: str, advance) -> None:
    for kind in FOLDERS:
        (root / split / kind).mkdir(parents=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for index in range(getattr(settings, split)):
        scene = make_scene(settings, split, index)
        name, folder = f'{index:06d}', root / split
        write_image(folder / 'images' / f'{name}.jpg', scene.image)
        write_image(folder / 'masks' / f'{name}.png', class_mask(scene))
        write_image(folder / 'depth' / f'{name}.png', scene.depth)
        salient = (scene.instances == scene.salient) & (scene.instances > 0)
        write_image(folder / 'saliency' / f'{name}.png', salient.astype(np.uint8) * 255)
        images.append(dict(id=index, file_name=f'{name}.jpg', width=settings.width,
                           height=settings.height))
        for annotation in instance_annotations(scene):
            annotations.append(dict(id=len(annotations) + 1, image_id=index, **annotation))
        advance()
    categories = [dict(id=number, name=name) for number, name in enumerate(SHAPES, start=1)]
    content = dict(images=images, annotations=annotations, categories=categories)
    path = root / 'annotations' / f'{split}.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content) + '\n', encoding='utf-8')


def make_scenes(root, settings: SceneSettings | None = None, progress: bool = True) -> bool:
    """Write a set of scenes, unless it is there already.

    The folder then holds, for each of ``train`` and ``val``, ``images`` (JPEG), ``masks`` (PNG,
    class of each pixel: 0 background, 1 + index into ``SHAPES``, 255 reserved for "ignore" and not
    used), ``saliency`` (PNG, 0 or 255, the one salient object: see ``render.salient_instance``) and
    ``depth`` (8-bit PNG, brighter is nearer); ``annotations/{train,val}.json`` (COCO) and
    ``meta.json``. It is built beside ``root`` and renamed at the end: an interrupted run leaves no
    half set.

    Args:
        root (str | Path): The set's folder.
        settings (SceneSettings, optional): What to make; the defaults when not given.
        progress (bool): Show a progress bar with the time left.

    Returns:
        bool: True when the set was made, False when it was there.

    Raises:
        DataError: ``root`` holds something else, which is left alone.
    """
    settings = settings or SceneSettings()

    def fill(folder, advance):
        for split in SPLITS:
            _write_split(folder, settings, split, advance)

    return write_set(root, dataclasses.asdict(settings), VERSION, dict(classes=SHAPES),
                     settings.train + settings.val, fill, progress)
