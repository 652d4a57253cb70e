"""Data sets of RGB-D co-salient object detection."""

import difflib
import logging
import os.path as osp
from collections.abc import Sequence

from mmengine.logging import print_log

from mmkd_sod.errors import DataError
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.images import IMAGE_SUFFIXES

from .depth_rule import decide_depth
from .sod_dataset import SODDataset


@DATASETS.register_module()
class RGBDCoSODDataset(SODDataset):
    """Groups of images with a common salient object, with a depth map and a mask per image.

    Images, depth maps and masks are in three folders with one subfolder per group each, and are
    matched by name without suffix. Number of bits and range of the depth maps are found once per
    folder and logged; see ``LoadDepth``::

        image/banana/01.jpg    depth/banana/01.png    mask/banana/01.png

    Groups may have any number of images. Each sample has the key ``group``;
    ``mmkd_sod.GroupBatchSampler`` samples batches of one group, and
    ``mmkd_sod.SODMetric`` saves maps in one folder per group.

    Args:
        data_root (str): Root folder.
        data_prefix (dict): ``img_path``, ``depth_path`` and ``seg_map_path``, folders below the
            root; without ``seg_map_path`` there are no masks.
        depth_suffix (str | Sequence[str]): Suffixes of depth maps in order of preference.
        kwargs: Arguments of ``SODDataset``; ``ann_file`` lists images as ``group/name``.

    Raises:
        DataError: A folder is missing or empty, or an image has no group, depth map or mask. The
            message names the file.
    """

    def __init__(
        self,
        data_root: str = '',
        data_prefix: dict = dict(  # noqa: B006
            img_path='image', depth_path='depth', seg_map_path='mask'
        ),
        depth_suffix: str | Sequence[str] = IMAGE_SUFFIXES,
        **kwargs,
    ) -> None:
        self.depth_suffix = depth_suffix
        super().__init__(data_root=data_root, data_prefix=data_prefix, recursive=True, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Match images, depth maps and masks; called by mmengine.

        Returns:
            list[dict]: Keys of ``SODDataset``, ``group``, ``depth_path`` and ``depth_rule`` per
            image.
        """
        depth_dir = self.data_prefix.get('depth_path')
        if not depth_dir:
            raise DataError(
                f'{self.name}: data_prefix has no depth_path; set it, or use '
                'SODDataset for images without depth maps'
            )
        depths = self._index(depth_dir, self.depth_suffix, 'depth maps')
        data_list = super().load_data_list()
        lacking = [info for info in data_list if info['img_name'] not in depths]
        if lacking:
            name = lacking[0]['img_name']
            near = difflib.get_close_matches(name, depths, n=1, cutoff=0.5)
            raise DataError(
                f'{self.name}: {len(lacking)} of {len(data_list)} images have no depth map in '
                f"'{depth_dir}', first '{name}'"
                + (f" (the most similar name is '{depths[near[0]]}')" if near else '')
                + '; name depth maps like their images'
            )
        for info in data_list:
            info['group'] = osp.dirname(info['img_name'])
            if not info['group']:
                raise DataError(
                    f"{self.name}: the image '{info['img_path']}' is not in the folder "
                    'of a group; use one folder per group'
                )
            info['depth_path'] = osp.join(depth_dir, depths[info['img_name']])
        rule = decide_depth(sorted({info['depth_path'] for info in data_list}), self.name)
        for info in data_list:
            info['depth_rule'] = rule
        self._warn_unused(depths.keys() - {info['img_name'] for info in data_list})
        return data_list

    def _warn_unused(self, names: set) -> None:
        # A list of images omits the others on purpose.
        if names and not self.ann_file:
            print_log(
                f'{self.name}: {len(names)} depth maps have no image and are not used, first '
                f"'{min(names)}'",
                logger='current',
                level=logging.WARNING,
            )
