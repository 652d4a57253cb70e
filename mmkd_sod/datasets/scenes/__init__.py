"""Generated scenes: small images of textured shapes with boxes, masks, saliency and depth.

``layout`` says what stands where, ``render`` turns that into arrays, ``writer`` puts a whole set on
disk, ``groups`` a set of RGB-D groups. Only numpy, OpenCV and mmengine are needed, and pycocotools
for the masks' run-length code.
"""
from .groups import GroupSettings, make_group_image, make_groups
from .layout import SceneLayout, SceneObject, place_objects, random_layout
from .render import Scene, render
from .shapes import SHAPES
from .writer import SceneSettings, make_scene, make_scenes

__all__ = [
    'SHAPES', 'GroupSettings', 'Scene', 'SceneLayout', 'SceneObject', 'SceneSettings',
    'make_group_image', 'make_groups', 'make_scene', 'make_scenes', 'place_objects',
    'random_layout', 'render'
]
