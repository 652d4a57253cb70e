"""GroupBatchSampler: one group per batch; seeded, resumable, as many steps on each rank."""

import pytest
from mmengine.dataset import ConcatDataset, DefaultSampler

from mmkd_sod.datasets.samplers import group_batch_sampler
from mmkd_sod.datasets.samplers.group_batch_sampler import GroupBatchSampler
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import DATA_SAMPLERS

SIZES = dict(one=1, few=5, many=20)


class Groups:
    """Data set with interleaved groups."""

    metainfo = {}

    def __init__(self, sizes, name=None):
        left, self.groups, self.name = dict(sizes), [], name
        while any(left.values()):
            for group in [group for group, number in left.items() if number]:
                self.groups.append(group)
                left[group] -= 1

    def __len__(self):
        return len(self.groups)

    def get_data_info(self, index):
        return dict(group=self.groups[index], dataset_name=self.name)


def build(dataset=None, epoch=0, seed=3, batch_size=8, **kwargs):
    sampler = DefaultSampler(dataset or Groups(SIZES), shuffle=True, seed=seed)
    sampler.set_epoch(epoch)
    return DATA_SAMPLERS.build(
        dict(type='mmkd_sod.GroupBatchSampler', **kwargs),
        default_args=dict(sampler=sampler, batch_size=batch_size),
    )


def on_rank(monkeypatch, rank, world_size, **kwargs):
    monkeypatch.setattr(group_batch_sampler, 'get_dist_info', lambda: (rank, world_size))
    return build(**kwargs)


def test_one_batch_per_group():
    sampler = build()
    groups, batches = sampler.sampler.dataset.groups, list(sampler)
    assert len(batches) == len(sampler) == 3
    assert sorted(len(batch) for batch in batches) == [1, 5, 8]
    for batch in batches:
        assert len({groups[i] for i in batch}) == 1 and len(set(batch)) == len(batch)


def test_every_image_once():
    sampler = build(all_images=True)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 1 + 1 + 3
    assert sorted(i for batch in batches for i in batch) == list(range(26))
    groups = sampler.sampler.dataset.groups
    assert all(len({groups[i] for i in batch}) == 1 for batch in batches)


def test_in_order_for_testing():
    batches = list(build(all_images=True, shuffle=False, batch_size=4))
    assert [len(batch) for batch in batches] == [1, 4, 1, 4, 4, 4, 4, 4]
    assert batches == list(build(all_images=True, shuffle=False, batch_size=4, epoch=5))
    assert all(batch == sorted(batch) for batch in batches)


def test_seed_and_epoch_decide():
    assert list(build(epoch=2)) == list(build(epoch=2))
    assert list(build(epoch=2)) != list(build(epoch=1))
    assert list(build(seed=1)) != list(build(seed=2))
    # Epochs use different images of a large group.
    seen = {i for epoch in range(20) for batch in build(epoch=epoch) for i in batch}
    assert seen == set(range(26))


@pytest.mark.parametrize('all_images', [False, True])
def test_ranks_share_the_batches(monkeypatch, all_images):
    whole = list(build(all_images=all_images))
    ranks = [on_rank(monkeypatch, rank, 2, all_images=all_images) for rank in range(2)]
    shares = [list(sampler) for sampler in ranks]
    assert [len(share) for share in shares] == [len(sampler) for sampler in ranks]
    assert len(shares[0]) == len(shares[1]) == (len(whole) + 1) // 2
    mixed = [batch for step in zip(*shares, strict=True) for batch in step]
    assert mixed == (whole + whole)[: len(mixed)]


def test_more_ranks_than_groups(monkeypatch):
    shares = [list(on_rank(monkeypatch, rank, 8)) for rank in range(8)]
    assert all(len(share) == 1 for share in shares)


def test_equal_names_in_two_sets_are_two_groups():
    sets = [Groups(dict(cup=3), 'a'), Groups(dict(cup=2), 'b')]
    both = ConcatDataset.__new__(ConcatDataset)
    both.datasets, both._fully_initialized = sets, True
    both.cumulative_sizes, both._metainfo, both.ignore_keys = [3, 5], {}, []
    assert sorted(len(batch) for batch in build(both)) == [2, 3]


def test_refusals():
    with pytest.raises(ConfigError, match='batch_size=0 must be at least 1'):
        build(batch_size=0)
    with pytest.raises(ConfigError, match='samples of list have no group'):
        GroupBatchSampler(DefaultSampler([1, 2], shuffle=False, seed=0), 2)
    with pytest.raises(ConfigError, match='object has no dataset and no seed and no set_epoch'):
        GroupBatchSampler(object(), 2)
