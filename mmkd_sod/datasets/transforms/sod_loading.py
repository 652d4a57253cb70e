"""Transforms that load and pack saliency samples."""

import numpy as np
from mmcv.transforms import BaseTransform, to_tensor
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from mmkd_sod.registry import TRANSFORMS
from mmkd_sod.utils.images import fit_mask, read_image, read_mask_and_ignored


@TRANSFORMS.register_module()
class LoadSODImage(BaseTransform):
    """Load an image of any common format as 8-bit BGR with its EXIF orientation applied.

    Required keys: ``img_path``. Added: ``img`` (H, W, 3), uint8, ``img_shape``, ``ori_shape``.
    Damaged files raise a ``DataError`` that names them.
    """

    def transform(self, results: dict) -> dict:
        """Load the image of a sample."""
        img = read_image(results['img_path'])
        results.update(img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2])
        return results


@TRANSFORMS.register_module()
class LoadSODMask(BaseTransform):
    """Load a saliency mask of any common format as labels 0 and 1, and 255 for ignored pixels.

    ``SODDataset`` decides once per folder how masks are read; see its ``mask_values``. Pixels above
    128 of 255 are salient, as in PySODMetrics. Unlabelled pixels, of the value 255 beside class
    numbers, are ignored by losses and count as background in ``SODMetric``. Deviation: the released
    code of KD-SCFNet trains on soft masks; mmseg's heads need labels. A mask that differs in size
    from its image is resized if the aspect ratio agrees, and else raises a ``DataError``.

    Required keys: ``seg_map_path``, ``ori_shape``, and ``mask_rule`` if it is known. Added:
    ``gt_seg_map`` (H, W), uint8.
    """

    def transform(self, results: dict) -> dict:
        """Load the mask of a sample."""
        path = results['seg_map_path']
        shape = results['ori_shape']
        mask, ignored = read_mask_and_ignored(path, results.get('mask_rule'))
        labels = (fit_mask(mask, shape, path) > 128).astype(np.uint8)
        if ignored.any():
            labels[fit_mask(ignored.astype(np.float32), shape, path) > 0.5] = 255
        results['gt_seg_map'] = labels
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class PackSODInputs(PackSegInputs):
    """Pack a sample as mmseg does, with the names that metrics and weak labels need.

    A ``weak_label`` (H, W), floating in [0, 1], becomes the field ``weak_label`` (1, H, W).

    Args:
        meta_keys (Sequence[str]): Keys to store in the metadata of the sample if present.
    """

    def __init__(
        self,
        meta_keys=(
            'img_path',
            'seg_map_path',
            'img_name',
            'dataset_name',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
        ),
    ) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack a sample."""
        packed = super().transform(results)
        if 'weak_label' in results:
            label = to_tensor(np.ascontiguousarray(results['weak_label'][None], np.float32))
            packed['data_samples'].set_data(dict(weak_label=PixelData(data=label)))
        return packed
