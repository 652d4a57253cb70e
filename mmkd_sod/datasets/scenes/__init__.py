"""Generated scenes: small images of textured shapes with boxes, masks, saliency and depth.

``layout`` places the objects, ``render`` renders them to arrays, ``writer`` writes a data set,
``groups`` a data set of RGB-D groups. Needs numpy, OpenCV, mmengine and pycocotools only.
"""

from .groups import GroupSettings, make_group_image, make_groups
from .layout import SceneLayout, SceneObject, place_objects, random_layout
from .render import Scene, render
from .shapes import SHAPES
from .writer import SceneSettings, make_scene, make_scenes

__all__ = [
    'SHAPES',
    'GroupSettings',
    'Scene',
    'SceneLayout',
    'SceneObject',
    'SceneSettings',
    'make_group_image',
    'make_groups',
    'make_scene',
    'make_scenes',
    'place_objects',
    'random_layout',
    'render',
]
