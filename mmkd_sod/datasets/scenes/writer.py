"""Write a set of generated scenes to disk, whole or not at all."""
import dataclasses
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.progress import progress_bar

from .layout import random_layout
from .render import Scene, render
from .shapes import SHAPES

# Raise it when the same settings give other files than before.
VERSION = 2
SPLITS = ('train', 'val')
FOLDERS = ('images', 'masks', 'saliency', 'depth')
_JPEG_QUALITY = 92


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


def _write_image(path: Path, array: np.ndarray) -> None:
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    if path.suffix == '.jpg':
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    if not cv2.imwrite(str(path), array, options):
        raise DataError(f'{path} could not be written; check the free space and the permissions')


def _write_split(root: Path, settings: SceneSettings, split: str, advance) -> None:
    for folder in FOLDERS:
        (root / split / folder).mkdir(parents=True)
    images, annotations = [], []
    for index in range(getattr(settings, split)):
        scene = make_scene(settings, split, index)
        name, folder = f'{index:06d}', root / split
        _write_image(folder / 'images' / f'{name}.jpg', scene.image)
        _write_image(folder / 'masks' / f'{name}.png', class_mask(scene))
        _write_image(folder / 'depth' / f'{name}.png', scene.depth)
        salient = (scene.instances == scene.salient) & (scene.instances > 0)
        _write_image(folder / 'saliency' / f'{name}.png', salient.astype(np.uint8) * 255)
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


def scenes_present(root, settings: SceneSettings) -> bool:
    """Whether ``root`` already holds the set that ``settings`` describe.

    Args:
        root (str | Path): The set's folder.
        settings (SceneSettings): What is wanted.

    Returns:
        bool: True when it is there, False when ``root`` is missing or empty.

    Raises:
        DataError: ``root`` holds something else, which is left alone.
    """
    root = Path(root)
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        meta = json.loads((root / 'meta.json').read_text(encoding='utf-8'))
        found = dict(meta['settings'], version=meta['version'])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f'{root} exists and holds no meta.json of generated scenes; '
                        'give another folder') from None
    wanted = dict(dataclasses.asdict(settings), version=VERSION)
    if found != wanted:
        differs = ', '.join(f'{key}={found.get(key)} instead of {wanted.get(key)}'
                            for key in sorted(found.keys() | wanted.keys())
                            if found.get(key) != wanted.get(key))
        raise DataError(f'{root} holds scenes made with {differs}; '
                        'remove it or give another folder')
    return True


def make_scenes(root, settings: SceneSettings = None, progress: bool = True) -> bool:
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
    root, settings = Path(root), settings or SceneSettings()
    if scenes_present(root, settings):
        return False
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = root.with_name(f'.{root.name}.{os.getpid()}.partial')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir()
        with progress_bar(settings.train + settings.val, progress) as advance:
            for split in SPLITS:
                _write_split(partial, settings, split, advance)
        meta = dict(version=VERSION, settings=dataclasses.asdict(settings), classes=SHAPES)
        (partial / 'meta.json').write_text(json.dumps(meta, indent=2) + '\n', encoding='utf-8')
        try:
            os.replace(partial, root)
        except OSError:
            # Another run may have finished first; anything else is refused with its reason.
            if not scenes_present(root, settings):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True
