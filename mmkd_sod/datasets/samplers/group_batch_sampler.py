"""Batch sampler for groups of images."""

import math
from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class GroupBatchSampler:
    """Samples batches of up to ``batch_size`` images of one group.

    Use it as ``batch_sampler`` of a loader: ``train_dataloader = dict(batch_size=8,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmkd_sod.GroupBatchSampler'), ...)``. Groups come from the data set,
    seed and epoch from ``sampler``, whose order of images is not used. Batches depend on seed and
    epoch only, so that a resumed run has the same batches. All ranks draw the same list of batches
    and take turns; the list is repeated from its start until all ranks have equally many.

    Args:
        sampler (Sampler): mmengine's ``DefaultSampler``, or another with ``dataset``, ``seed`` and
            ``set_epoch``.
        batch_size (int): Maximum number of images per batch.
        all_images (bool): False, as in the training of HKDNet: one batch per group and epoch, with
            images drawn again each epoch. True: every image once per epoch, large groups in several
            batches.
        shuffle (bool): Whether to shuffle groups and images; use False with ``all_images`` for
            testing.

    Raises:
        ConfigError: ``sampler`` does not fit, or the samples of the data set have no group.
    """

    def __init__(
        self, sampler, batch_size: int, all_images: bool = False, shuffle: bool = True
    ) -> None:
        missing = [key for key in ('dataset', 'seed', 'set_epoch') if not hasattr(sampler, key)]
        if missing:
            raise ConfigError(
                f'GroupBatchSampler: {type(sampler).__name__} has no '
                f'{" and no ".join(missing)}; use sampler=dict(type='
                "'DefaultSampler')"
            )
        if batch_size < 1:
            raise ConfigError(
                f'GroupBatchSampler: batch_size={batch_size} must be at least 1; HKDNet uses 8'
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.all_images = all_images
        self.shuffle = shuffle
        self.rank, self.world_size = get_dist_info()
        self.groups = self._groups(sampler.dataset)

    @staticmethod
    def _groups(dataset) -> list[np.ndarray]:
        """Return the indices of each group, in the order of the data set."""
        groups: dict[tuple, list[int]] = {}
        for index in range(len(dataset)):
            info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
            if 'group' not in info:
                raise ConfigError(
                    f'GroupBatchSampler: samples of {type(dataset).__name__} have no '
                    'group; use RGBDCoSODDataset'
                )
            # Groups of equal name in two sets of a ConcatDataset are different groups.
            groups.setdefault((info.get('dataset_name'), info['group']), []).append(index)
        return [np.array(indices) for indices in groups.values()]

    def batches(self) -> list[list[int]]:
        """Return the batches of the current epoch for all ranks, as lists of indices."""
        rng = np.random.default_rng([self.sampler.seed or 0, getattr(self.sampler, 'epoch', 0)])
        order = rng.permutation if self.shuffle else np.asarray
        found = []
        for group in self.groups:
            group = order(group)
            found += [
                group[start : start + self.batch_size].tolist()
                for start in range(0, len(group), self.batch_size)
            ][: None if self.all_images else 1]
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
