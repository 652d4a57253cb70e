"""Transform that keeps a separate view of an image for the teacher."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import TRANSFORMS

# Substrings of the names of transforms that change the relative positions of pixels.
_MOVING = (
    'Flip',
    'Crop',
    'Rotat',
    'Shear',
    'Translate',
    'Affine',
    'Perspective',
    'Mosaic',
    'MixUp',
    'CopyPaste',
    'Expand',
    'Pad',
)
# Keys of a sample to keys of the view.
_NAMES = dict(img='img', depth_map='depth')


def _types(cfg) -> Iterator[str]:
    """Yield the types of transforms in a config, including those inside wrappers."""
    if isinstance(cfg, dict):
        if isinstance(cfg.get('type'), str):
            yield cfg['type']
        for value in cfg.values():
            yield from _types(value)
    elif isinstance(cfg, (list, tuple)):
        for value in cfg:
            yield from _types(value)


@TRANSFORMS.register_module()
class TeacherView(BaseTransform):
    """Keep the image for the teacher, and transform and pack the student's image.

    The last transform of a training pipeline. Transforms before it, including flips and crops,
    apply to both images; ``transforms`` apply to the student's image and labels only. The teacher
    can thus use a higher resolution, an image without added noise, or a depth map::

        dict(type='mmkd_sod.TeacherView', transforms=[
            dict(type='mmdet.Resize', scale_factor=0.5, keep_ratio=True),
            dict(type='mmdet.PackDetInputs')])

    ``DenseDistill(teacher_input=dict(view='teacher_view'))`` passes the view to the teacher,
    normalised by the teacher's own data preprocessor.

    Required keys: ``keys``. Added: the field ``name`` of the packed sample, a dict of ``img`` (3,
    H, W), as loaded, and with ``'depth_map'`` in ``keys`` of ``depth`` (1, H, W) in [0, 1].

    Args:
        transforms (Sequence[dict]): Remaining transforms; the last one packs the sample. They may
            resize images and change colours, but not flip, crop or pad.
        keys (Sequence[str]): Keys to keep: ``'img'``, and ``'depth_map'``, which ``LoadDepth``
            adds.
        name (str): Name of the field.

    Raises:
        ConfigError: A transform moves pixels of the student's image only, or a key is unknown.
        DataError: A sample lacks one of the keys.
    """

    def __init__(
        self, transforms: Sequence[dict], keys: Sequence[str] = ('img',), name: str = 'teacher_view'
    ) -> None:
        unknown = [key for key in keys if key not in _NAMES]
        if unknown or 'img' not in keys:
            raise ConfigError(
                f"TeacherView: keys={tuple(keys)} must be ('img', ) or ('img', "
                "'depth_map'); set keys to one of these"
            )
        for kind in _types(transforms):
            if any(word in kind.split('.')[-1] for word in _MOVING):
                raise ConfigError(
                    f'TeacherView: transforms contains {kind}, which would move '
                    "pixels of the student's image only; put it before TeacherView"
                )
        self.transforms = Compose(transforms)
        self.keys = tuple(keys)
        self.name = name

    def transform(self, results: dict) -> dict | None:
        """Keep the view of a sample and apply the remaining transforms."""
        view = {}
        for key in self.keys:
            if key not in results:
                raise DataError(
                    f"TeacherView: the sample of '{results.get('img_path')}' has no "
                    f"'{key}'; load it before TeacherView, or change keys"
                )
            array = results[key]
            array = array.transpose(2, 0, 1) if array.ndim == 3 else array[None]
            # A copy, since the following transforms may change the array in place.
            view[_NAMES[key]] = torch.from_numpy(np.array(array, order='C'))
        if 'depth' in view:  # padding fills depth maps, like masks, with 255
            view['depth'] = view['depth'].masked_fill(view['depth'] > 1, 0)
        packed = self.transforms(results)
        if packed is not None:
            if not isinstance(packed, dict) or 'data_samples' not in packed:
                raise ConfigError(
                    'TeacherView: the last transform does not pack the sample; end '
                    'transforms with PackDetInputs, PackSegInputs or PackSODInputs'
                )
            packed['data_samples'].set_field(view, self.name)
        return packed
