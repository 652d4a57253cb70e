"""Data sets of RGB-D co-salient object detection: groups of images with depth maps and masks."""
import difflib
import logging
import os.path as osp
from collections.abc import Sequence

from mmengine.logging import print_log

from mmkd_sod.errors import DataError
from mmkd_sod.registry import DATASETS
from mmkd_sod.utils.images import IMAGE_SUFFIXES

from .sod_dataset import SODDataset


@DATASETS.register_module()
class RGBDCoSODDataset(SODDataset):
    """Groups of images that share a salient object, each image with a depth map and a mask.

    Images, depth maps and masks lie under a root each, with one folder a group of the same name
    under all three, and are matched by name without suffix::

        image/banana/01.jpg    depth/banana/01.png    mask/banana/01.png

    A group may hold any number of images, one included. Each sample carries its ``group``;
    :class:`mmkd_sod.GroupBatchSampler` makes batches of one group, and
    :class:`mmkd_sod.SODMetric` saves maps in one folder a group.

    Args:
        data_root (str): Root folder.
        data_prefix (dict): ``img_path``, ``depth_path`` and ``seg_map_path``, folders below the
            root; no ``seg_map_path`` means no masks.
        depth_suffix (str | Sequence[str]): Suffixes of depth maps, the preferred first.
        kwargs: As for :class:`SODDataset`; ``ann_file`` lists images as ``group/name``.

    Raises:
        DataError: A folder is missing or empty, an image lies outside of a group, or has no depth
            map or mask. The message names the file.
    """

    def __init__(self, data_root: str = '', data_prefix: dict = dict(  # noqa: B006
                     img_path='image', depth_path='depth', seg_map_path='mask'),
                 depth_suffix: str | Sequence[str] = IMAGE_SUFFIXES, **kwargs) -> None:
        self.depth_suffix = depth_suffix
        super().__init__(data_root=data_root, data_prefix=data_prefix, recursive=True, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Match images, depth maps and masks; called by mmengine."""
        depth_dir = self.data_prefix.get('depth_path')
        if not depth_dir:
            raise DataError(f'{self.name}: data_prefix names no depth_path; set it, or use '
                            'SODDataset for images without depth')
        depths = self._index(depth_dir, self.depth_suffix, 'depth maps')
        data_list = super().load_data_list()
        lacking = [info for info in data_list if info['img_name'] not in depths]
        if lacking:
            name = lacking[0]['img_name']
            near = difflib.get_close_matches(name, depths, n=1, cutoff=0.5)
            raise DataError(
                f"{self.name}: {len(lacking)} of {len(data_list)} images have no depth map in "
                f"'{depth_dir}', first '{name}'" + (
                    f", where the nearest name is '{depths[near[0]]}'" if near else '')
                + '; give depth maps the names of their images')
        for info in data_list:
            info['group'] = osp.dirname(info['img_name'])
            if not info['group']:
                raise DataError(f"{self.name}: the image '{info['img_path']}' lies in no group; "
                                'use one folder a group')
            info['depth_path'] = osp.join(depth_dir, depths[info['img_name']])
        self._tell_unused(depths.keys() - {info['img_name'] for info in data_list})
        return data_list

    def _tell_unused(self, names: set) -> None:
        # With a list of images, the others are left out on purpose.
        if names and not self.ann_file:
            print_log(f"{self.name}: {len(names)} depth maps have no image and are not used, first "
                      f"'{min(names)}'", logger='current', level=logging.WARNING)
