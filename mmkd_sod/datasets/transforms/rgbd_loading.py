"""Transforms that load and pack RGB-D samples."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmkd_sod.registry import TRANSFORMS
from mmkd_sod.utils.images import fit_mask, read_depth

from .sod_loading import PackSODInputs


@TRANSFORMS.register_module()
class LoadDepth(BaseTransform):
    """Load a depth map as one channel in [0, 1].

    The map is added to ``seg_fields``, so that Resize, RandomFlip, RandomCrop, RandomRotate and Pad
    of mmcv and mmseg transform it like the mask (to the nearest pixel, which does not blend near
    and far). A map that differs in size from its image is resized if the aspect ratio agrees.

    Required keys: ``depth_path``, ``ori_shape``. Added: ``depth_map`` (H, W), float32.

    Args:
        max_value (float, optional): Value that becomes 1; default: the maximum of the format, see
            ``mmkd_sod.utils.images.read_depth``.
        stretch (bool): Whether to stretch each map to [0, 1].
        invert (bool): Whether to exchange near and far, after stretching.
    """

    def __init__(
        self, max_value: float | None = None, stretch: bool = False, invert: bool = False
    ) -> None:
        self.max_value = max_value
        self.stretch = stretch
        self.invert = invert

    def transform(self, results: dict) -> dict:
        """Load the depth map of a sample."""
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
    """Pack image and depth map for ``mmkd_sod.RGBDDataPreprocessor``.

    ``inputs`` becomes ``dict(img=(3, H, W) uint8, depth=(1, H, W) float)``. Depth that a rotation
    or padding filled with 255, as in masks, becomes 0.

    Args:
        meta_keys (Sequence[str]): Keys to store in the metadata of the sample if present.
    """

    META_KEYS = (
        'img_path',
        'depth_path',
        'seg_map_path',
        'img_name',
        'dataset_name',
        'group',
        'ori_shape',
        'img_shape',
        'pad_shape',
        'scale_factor',
        'flip',
        'flip_direction',
    )

    def __init__(self, meta_keys=META_KEYS) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack a sample."""
        packed = super().transform(results)
        depth = results['depth_map']
        depth = np.where(depth > 1, np.float32(0), depth)
        packed['inputs'] = dict(img=packed['inputs'], depth=torch.from_numpy(depth)[None])
        return packed
