"""Samples that a worker cannot prepare name their image."""
import pytest
from mmengine.dataset import BaseDataset, pseudo_collate
from torch.utils.data import DataLoader

from mmkd_sod.cli.errors import mistakes_told
from mmkd_sod.compat.named_samples import samples_named
from mmkd_sod.errors import DataError, TrainingError


class Images(BaseDataset):
    """Three images of which the second raises something."""

    def __init__(self, error):
        self.error = error
        super().__init__(serialize_data=False)

    def load_data_list(self):
        return [dict(img_path=f'images/{index}.jpg') for index in range(3)]

    def prepare_data(self, idx):
        return super().prepare_data(idx)


def fails_at(error):
    def prepare(results):
        if results['img_path'].endswith('1.jpg'):
            raise error
        return results
    return prepare


def read_all(error, workers):
    dataset = Images(error)
    dataset.pipeline = fails_at(error)
    for _ in DataLoader(dataset, num_workers=workers, collate_fn=pseudo_collate):
        pass


def told(error, workers=1) -> str:
    with pytest.raises(DataError) as info, mistakes_told({}):
        read_all(error, workers)
    assert '\n' not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize('workers', [0, 1])
def test_the_image_is_named(workers):
    assert told(ValueError('buffer\nis empty'), workers) == (
        'the data cannot be read (images/1.jpg): ValueError: buffer is empty')


@pytest.mark.parametrize('kind', [DataError, TrainingError])
def test_sentences_of_our_own_arrive_as_they_are(kind):
    with pytest.raises(kind) as info, mistakes_told({}):
        read_all(kind("mask 'm.png' is wrong: make it right"), 1)
    assert str(info.value) == "mask 'm.png' is wrong: make it right"


def test_nothing_is_left_behind():
    before = BaseDataset.prepare_data
    with pytest.raises(KeyError), samples_named(str):
        assert BaseDataset.prepare_data is not before
        raise KeyError
    assert BaseDataset.prepare_data is before


def test_the_main_process_raises_what_was_raised():
    with pytest.raises(ValueError, match='empty'), samples_named(str):
        read_all(ValueError('empty'), 0)
