"""mmengine writes the images that it draws with OpenCV's own writer.

It ends the process on file names that are not UTF-8. The images are encoded in memory instead, and
files are complete or absent.
"""

from pathlib import Path

import cv2
import numpy as np

from mmkd_sod.utils.images import write_image

from .entry import Entry


def write_drawings() -> None:
    """Replace ``LocalVisBackend.add_image``."""
    from mmengine.visualization.vis_backend import LocalVisBackend, force_init_env

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs) -> None:
        """Write an RGB image, (H, W, 3), uint8, to ``vis_image/NAME_STEP.png``."""
        if image.dtype != np.uint8:
            # The class of mmengine's own error.
            raise AssertionError(f'add_image: image is {image.dtype}; convert it to uint8')
        path = Path(self._img_save_dir, f'{name}_{step}.png')
        write_image(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    LocalVisBackend.add_image = add_image


ENTRY = Entry(
    name='drawn_images',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={
        'mmengine.visualization.vis_backend:LocalVisBackend.add_image': (
            'self',
            'name',
            'image',
            'step',
            'kwargs',
        ),
        'mmengine.visualization.vis_backend:force_init_env': ('old_func',),
    },
    why='drawing an image whose file name is not UTF-8 ends the process in OpenCV',
    until='an mmengine that encodes images in memory',
    patch=write_drawings,
)
