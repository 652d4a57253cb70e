"""Another view of the same image for the teacher."""
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import TRANSFORMS

# Parts of names of transforms after which a place in the student's image is no longer the same
# fraction of the teacher's.
_MOVING = ('Flip', 'Crop', 'Rotat', 'Shear', 'Translate', 'Affine', 'Perspective', 'Mosaic',
           'MixUp', 'CopyPaste', 'Expand', 'Pad')
# What is kept, as loaders call it and as the view does.
_NAMES = dict(img='img', depth_map='depth')


def _types(cfg) -> Iterator[str]:
    """Types of transforms in a config, those inside of wrappers too."""
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
    """Keep the image for the teacher as it is here, and go on with the student's alone.

    It ends a training pipeline: what comes before, flips and crops included, is done to both, what
    stands inside is done to the student's image and labels. So the teacher can see an image of
    higher resolution, or without the noise that the student gets, or with its depth map::

        dict(type='mmkd_sod.TeacherView', transforms=[
            dict(type='mmdet.Resize', scale_factor=0.5, keep_ratio=True),
            dict(type='mmdet.PackDetInputs')])

    ``DenseDistill(teacher_input=dict(view='teacher_view'))`` hands the view to the teacher,
    normalised by the teacher's own data preprocessor.

    Required: the ``keys``. Added: the field ``name`` of the packed sample, a dict of ``img`` (3, H,
    W), as loaded, and, where kept, ``depth`` (1, H, W) in [0, 1].

    Args:
        transforms (Sequence[dict]): The rest of the pipeline; the last one packs. Images may be
            resized in it, and changed in colour, but not flipped, cropped, padded or the like.
        keys (Sequence[str]): What to keep: ``'img'``, and ``'depth_map'``, which ``LoadDepth``
            loads.
        name (str): The field's name.

    Raises:
        ConfigError: A transform moves the student's image alone, or a key is unknown.
        DataError: When a sample is loaded, it lacks one of the keys.
    """

    def __init__(self, transforms: Sequence[dict], keys: Sequence[str] = ('img', ),
                 name: str = 'teacher_view') -> None:
        unknown = [key for key in keys if key not in _NAMES]
        if unknown or 'img' not in keys:
            raise ConfigError(f'TeacherView: keys={tuple(keys)}; give img, and depth_map where the '
                              'teacher wants it')
        for kind in _types(transforms):
            if any(word in kind.split('.')[-1] for word in _MOVING):
                raise ConfigError(f'TeacherView: transforms holds {kind}, which would move the '
                                  "student's image and not the teacher's; put it before")
        self.transforms = Compose(transforms)
        self.keys = tuple(keys)
        self.name = name

    def transform(self, results: dict) -> dict | None:
        view = {}
        for key in self.keys:
            if key not in results:
                raise DataError(f"TeacherView keeps '{key}', which the sample of "
                                f"'{results.get('img_path')}' does not have; load it before")
            array = results[key]
            array = array.transpose(2, 0, 1) if array.ndim == 3 else array[None]
            # A copy: what follows may work in place.
            view[_NAMES[key]] = torch.from_numpy(np.array(array, order='C'))
        if 'depth' in view:  # Padding fills the map as it fills masks, with 255.
            view['depth'] = view['depth'].masked_fill(view['depth'] > 1, 0)
        packed = self.transforms(results)
        if packed is not None:
            if not isinstance(packed, dict) or 'data_samples' not in packed:
                raise ConfigError('TeacherView: the last of its transforms has to pack the sample; '
                                  'put PackDetInputs, PackSegInputs or PackSODInputs there')
            packed['data_samples'].set_field(view, self.name)
        return packed
