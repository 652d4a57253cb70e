"""Batches that hold images of one group."""
import math
from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class GroupBatchSampler:
    """Yields up to ``batch_size`` images of one group a step, for a loader's ``batch_sampler``.

    ``train_dataloader = dict(batch_size=8, sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmkd_sod.GroupBatchSampler'), ...)``: groups come from the data set,
    seed and epoch from ``sampler``, whose order of images is not used. Batches follow from seed and
    epoch alone, so a resumed run sees what it would have seen; every rank draws the same list and
    takes its share, filled up from the beginning so that all have as many steps.

    Args:
        sampler (Sampler): mmengine's ``DefaultSampler``, or another with ``dataset``, ``seed`` and
            ``set_epoch``.
        batch_size (int): Largest number of images of a batch.
        all_images (bool): False, as in HKDNet's training: one batch a group and epoch, of images
            drawn anew each epoch. True: every image once an epoch; a large group gives several
            batches.
        shuffle (bool): Shuffle groups and images; False for testing, with ``all_images``.

    Raises:
        ConfigError: ``sampler`` does not fit, or the data set names no groups.
    """

    def __init__(self, sampler, batch_size: int, all_images: bool = False,
                 shuffle: bool = True) -> None:
        missing = [key for key in ('dataset', 'seed', 'set_epoch') if not hasattr(sampler, key)]
        if missing:
            raise ConfigError(f'GroupBatchSampler: {type(sampler).__name__} has no '
                              f"{' and no '.join(missing)}; use sampler=dict(type="
                              "'DefaultSampler')")
        if batch_size < 1:
            raise ConfigError(f'GroupBatchSampler: batch_size={batch_size} must be 1 or more')
        self.sampler = sampler
        self.batch_size = batch_size
        self.all_images = all_images
        self.shuffle = shuffle
        self.rank, self.world_size = get_dist_info()
        self.groups = self._groups(sampler.dataset)

    @staticmethod
    def _groups(dataset) -> list[np.ndarray]:
        """Indices of each group, in the order in which the data set names them."""
        groups: dict[tuple, list[int]] = {}
        for index in range(len(dataset)):
            info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
            if 'group' not in info:
                raise ConfigError(f'GroupBatchSampler: samples of {type(dataset).__name__} carry '
                                  'no group; use RGBDCoSODDataset')
            # Equal names in two sets of a ConcatDataset are two groups.
            groups.setdefault((info.get('dataset_name'), info['group']), []).append(index)
        return [np.array(indices) for indices in groups.values()]

    def batches(self) -> list[list[int]]:
        """All batches of the current epoch, of all ranks."""
        rng = np.random.default_rng([self.sampler.seed or 0, getattr(self.sampler, 'epoch', 0)])
        order = rng.permutation if self.shuffle else np.asarray
        found = []
        for group in self.groups:
            group = order(group)
            found += [group[start:start + self.batch_size].tolist()
                      for start in range(0, len(group), self.batch_size)][
                          :None if self.all_images else 1]
        return [found[i] for i in order(np.arange(len(found)))]

    def __iter__(self) -> Iterator[list[int]]:
        batches = self.batches()
        for step in range(len(self)):
            yield batches[(step * self.world_size + self.rank) % len(batches)]

    def __len__(self) -> int:
        number = len(self.groups)
        if self.all_images:
            number = sum(math.ceil(len(group) / self.batch_size) for group in self.groups)
        return math.ceil(number / self.world_size)
