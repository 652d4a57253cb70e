"""CamVid: semantic segmentation of road scenes in 11 classes."""

import os
import os.path as osp

from mmseg.datasets import BaseSegDataset

from mmkd_sod.errors import DataError
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.files import is_hidden
from mmkd_sod.utils.images import IMAGE_SUFFIXES, open_image

# Folders of images and of label maps of a split.
_LAYOUTS = (('images/{0}', 'annotations/{0}'), ('{0}', '{0}annot'))


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid road scenes, 480 x 360: 367 training, 101 validation and 233 test images.

    Label maps hold class indices 0 to 10, and 11 for ignored pixels, which becomes mmseg's 255. One
    of two layouts below ``data_root`` is used:

    - ``images/train`` and ``annotations/train``, and so on;
    - ``train`` and ``trainannot``, and so on, as in the download of the SegNet tutorial.

    Args:
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        data_root (str): Root folder.
        data_prefix (dict, optional): ``img_path`` and ``seg_map_path`` below the root, for another
            layout.
        kwargs: Arguments of mmseg's ``BaseSegDataset``.

    Raises:
        DataError: Neither layout exists, a folder has no images, or a label map is missing or in
            colour. The message names the path.
    """

    METAINFO = dict(
        classes=(
            'sky',
            'building',
            'pole',
            'road',
            'pavement',
            'tree',
            'sign',
            'fence',
            'car',
            'pedestrian',
            'cyclist',
        ),
        palette=[
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [60, 40, 222],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    )

    def __init__(
        self,
        split: str = 'train',
        data_root: str = 'data/camvid',
        data_prefix: dict | None = None,
        **kwargs,
    ) -> None:
        if data_prefix is None:
            data_prefix = self._find_layout(split, data_root)
        super().__init__(data_root=data_root, data_prefix=data_prefix, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes=None) -> dict:
        """Return mmseg's map for selected classes, with 11 mapped to the ignored value 255."""
        return {**(super().get_label_map(new_classes) or {}), len(cls.METAINFO['classes']): 255}

    @staticmethod
    def _find_layout(split: str, data_root: str) -> dict:
        pairs = [[folder.format(split) for folder in layout] for layout in _LAYOUTS]
        for images, maps in pairs:
            if osp.isdir(osp.join(data_root, images)) and osp.isdir(osp.join(data_root, maps)):
                return dict(img_path=images, seg_map_path=maps)
        known = ' nor '.join(' and '.join(map(repr, pair)) for pair in pairs)
        raise DataError(
            f"CamVidDataset: '{data_root}' has neither {known}; put CamVid there or set data_root"
        )

    def load_data_list(self) -> list[dict]:
        """Match images and label maps by name; called by mmengine.

        Returns:
            list[dict]: ``img_path``, ``seg_map_path`` and mmseg's keys per image.
        """
        img_dir, map_dir = self.data_prefix['img_path'], self.data_prefix['seg_map_path']
        names = sorted(
            name
            for name in os.listdir(img_dir)
            if name.lower().endswith(IMAGE_SUFFIXES) and not is_hidden(name)
        )
        if not names:
            raise DataError(f"CamVidDataset: folder '{img_dir}' has no images; put CamVid there")
        suffix = self.seg_map_suffix
        # Suffixes may be in capitals.
        existing = {
            name[: -len(suffix)] + suffix: name
            for name in os.listdir(map_dir)
            if name.lower().endswith(suffix.lower())
        }
        data_list = []
        for name in names:
            seg_map = osp.splitext(name)[0] + suffix
            path = osp.join(map_dir, existing.get(seg_map, seg_map))
            if seg_map not in existing:
                raise DataError(
                    f"CamVidDataset: label map '{path}' of image '{name}' does not "
                    'exist; add it or remove the image'
                )
            data_list.append(
                dict(
                    img_path=osp.join(img_dir, name),
                    seg_map_path=path,
                    label_map=self.label_map,
                    reduce_zero_label=self.reduce_zero_label,
                    seg_fields=[],
                )
            )
        first = data_list[0]['seg_map_path']
        if open_image(first, 'label map').mode not in ('L', 'P'):
            raise DataError(
                f"CamVidDataset: label map '{first}' is in colour; it must hold class "
                'indices 0 to 11 in one channel; use the download with 11 classes'
            )
        return data_list
