"""Transforms that load and pack RGB-D samples."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmkd_sod.datasets.depth_rule import FLAT, spread
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import TRANSFORMS
from mmkd_sod.utils.images import fit_mask, read_depth

from .sod_loading import PackSODInputs

# 10 m in each unit.
_TEN_METRES = dict(mm=10000.0, cm=1000.0, m=10.0)
# Number of nearly constant maps at the start that are refused.
_FLAT_MAPS = 8


@TRANSFORMS.register_module()
class LoadDepth(BaseTransform):
    """Load a depth map as one channel in [0, 1].

    The map is added to ``seg_fields``, so that Resize, RandomFlip, RandomCrop, RandomRotate and Pad
    of mmcv and mmseg transform it like the mask (to the nearest pixel, which does not blend near
    and far). A map that differs in size from its image is resized if the aspect ratio agrees.

    Without ``max_value``, ``unit`` and ``stretch``, the full scale is that which
    ``RGBDCoSODDataset`` finds for the folder: 255 for 8 bits; for 16 bits the smallest of 255,
    1023, 4095, 10000 (10 m in millimetres) and 65535 that holds the values, 65535 above a gap being
    pixels without a measurement. Nearly constant maps are refused.

    Required keys: ``depth_path``, ``ori_shape``, and ``depth_rule`` if it is known. Added:
    ``depth_map`` (H, W), float32.

    Args:
        max_value (float, optional): Value that becomes 1.
        stretch (bool): Whether to stretch each map to [0, 1].
        invert (bool): Whether to exchange near and far, after stretching.
        unit (str, optional): ``'mm'``, ``'cm'`` or ``'m'``: unit of the values; 10 m become 1.

    Raises:
        ConfigError: ``unit`` is not known, or given beside ``max_value``.
        DataError: A map cannot be read, differs in bits or range from the others, or the maps are
            nearly constant.
    """

    def __init__(
        self,
        max_value: float | None = None,
        stretch: bool = False,
        invert: bool = False,
        unit: str | None = None,
    ) -> None:
        if unit is not None and (unit not in _TEN_METRES or max_value is not None):
            raise ConfigError(
                f'LoadDepth: unit={unit!r} with max_value={max_value}; unit is one of '
                f'{", ".join(map(repr, _TEN_METRES))} and replaces max_value; give one of them'
            )
        self.max_value = max_value if unit is None else _TEN_METRES[unit]
        self.stretch = stretch
        self.invert = invert
        # Only maps at the start are checked, since single ones may show a wall.
        self._flat: int | None = 0

    def transform(self, results: dict) -> dict:
        """Load the depth map of a sample."""
        path, rule = results['depth_path'], results.get('depth_rule')
        if rule is None or self.max_value is not None or self.stretch:
            depth = read_depth(path, self.max_value)
        else:
            depth = rule.read(path)
        depth = fit_mask(depth, results['ori_shape'], path, 'depth map')
        if self.max_value is not None and not self.stretch:
            self._check(depth, path)
        if self.stretch:
            depth = depth - depth.min()
            depth = depth / max(float(depth.max()), 1e-6)
        results['depth_map'] = 1 - depth if self.invert else depth
        results.setdefault('seg_fields', []).append('depth_map')
        return results

    def _check(self, depth: np.ndarray, path) -> None:
        if self._flat is None:
            return
        self._flat = self._flat + 1 if spread(depth) < FLAT else None
        if self._flat is not None and self._flat >= _FLAT_MAPS:
            raise DataError(
                f"LoadDepth: {_FLAT_MAPS} depth maps are nearly constant, last '{path}', with "
                f'max_value={self.max_value:g}; set max_value or unit to the range of the maps'
            )


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
