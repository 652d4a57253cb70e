"""Loading and packing of RGB-D samples."""
import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmkd_sod.registry import TRANSFORMS
from mmkd_sod.utils.images import fit_mask, read_depth

from .sod_loading import PackSODInputs


@TRANSFORMS.register_module()
class LoadDepth(BaseTransform):
    """Load a depth map as one channel in [0, 1].

    It goes into ``seg_fields``, so mmcv's and mmseg's Resize, RandomFlip, RandomCrop, RandomRotate
    and Pad treat it as they treat the mask (to the nearest pixel, which blends no near and far),
    and image, depth and mask stay aligned. A map of another size than its image is resized when the
    aspect agrees.

    Required: ``depth_path``, ``ori_shape``. Added: ``depth_map`` (H, W), float32.

    Args:
        max_value (float, optional): What becomes 1; see :func:`mmkd_sod.utils.images.read_depth`.
        stretch (bool): Stretch each map to [0, 1].
        invert (bool): Exchange near and far, at last.
    """

    def __init__(self, max_value: float | None = None, stretch: bool = False,
                 invert: bool = False) -> None:
        self.max_value = max_value
        self.stretch = stretch
        self.invert = invert

    def transform(self, results: dict) -> dict:
        path = results['depth_path']
        depth = fit_mask(read_depth(path, self.max_value), results['ori_shape'], path, 'depth map')
        if self.stretch:
            depth = depth - depth.min()
            depth = depth / max(float(depth.max()), 1e-6)
        results['depth_map'] = 1 - depth if self.invert else depth
        results.setdefault('seg_fields', []).append('depth_map')
        return results


@TRANSFORMS.register_module()
class PackRGBDInputs(PackSODInputs):
    """Pack image and depth map for :class:`mmkd_sod.RGBDDataPreprocessor`.

    ``inputs`` becomes ``dict(img=(3, H, W) uint8, depth=(1, H, W) float)``. Where a rotation or a
    padding filled the depth map as it fills masks, with 255, it is set to 0.
    """

    META_KEYS = ('img_path', 'depth_path', 'seg_map_path', 'img_name', 'dataset_name', 'group',
                 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip', 'flip_direction')

    def __init__(self, meta_keys=META_KEYS) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        depth = results['depth_map']
        depth = np.where(depth > 1, np.float32(0), depth)
        packed['inputs'] = dict(img=packed['inputs'], depth=torch.from_numpy(depth)[None])
        return packed
