"""Loading and packing of saliency samples."""
import numpy as np
from mmcv.transforms import BaseTransform, to_tensor
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs

from mmkd_sod.registry import TRANSFORMS
from mmkd_sod.utils.images import fit_mask, read_image, read_mask


@TRANSFORMS.register_module()
class LoadSODImage(BaseTransform):
    """Load an image of any common kind as 8-bit BGR, upright; damaged files are named.

    Required: ``img_path``. Added: ``img`` (H, W, 3), ``img_shape``, ``ori_shape``.
    """

    def transform(self, results: dict) -> dict:
        img = read_image(results['img_path'])
        results.update(img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2])
        return results


@TRANSFORMS.register_module()
class LoadSODMask(BaseTransform):
    """Load a saliency mask of any common kind as labels 0 and 1.

    A mask of another size than its image is resized when the aspect agrees, refused with its name
    when not. A pixel above 128 of 255 is salient, as in PySODMetrics. Soft edges are cut there: the
    released program trains on soft masks, mmseg's heads on labels.

    Required: ``seg_map_path``, ``ori_shape``. Added: ``gt_seg_map`` (H, W), uint8.
    """

    def transform(self, results: dict) -> dict:
        path = results['seg_map_path']
        mask = fit_mask(read_mask(path), results['ori_shape'], path)
        results['gt_seg_map'] = (mask > 128).astype(np.uint8)
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class PackSODInputs(PackSegInputs):
    """mmseg's packing, with the names that metrics and weak labels need.

    A ``weak_label`` (H, W), floating in [0, 1], becomes the sample's ``weak_label`` (1, H, W).

    Args:
        meta_keys (Sequence[str]): What goes into the sample's meta data where it is known.
    """

    def __init__(self, meta_keys=('img_path', 'seg_map_path', 'img_name', 'dataset_name',
                                  'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
                                  'flip_direction')) -> None:
        super().__init__(meta_keys)

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        if 'weak_label' in results:
            label = to_tensor(np.ascontiguousarray(results['weak_label'][None], np.float32))
            packed['data_samples'].set_data(dict(weak_label=PixelData(data=label)))
        return packed
