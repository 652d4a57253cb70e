"""Missing data is reported before anything is built."""

import pytest
from mmengine.config import Config

from mmkd_sod.engine.checks import check_data
from mmkd_sod.errors import DataError


def config(dataset, loader='train_dataloader'):
    return Config({loader: dict(dataset=dataset)})


@pytest.fixture
def data(tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'a.json').write_text('{}')
    return dict(
        type='X', data_root=str(tmp_path), ann_file='a.json', data_prefix=dict(img='images')
    )


def test_existing_data_passes(data):
    check_data(config(data))
    check_data(config(dict(type='RepeatDataset', dataset=data)))
    check_data(config(dict(type='ConcatDataset', datasets=[data, data])))
    check_data(Config(dict(train_dataloader=None)))


def test_missing_annotations(data):
    data['ann_file'] = 'b.json'
    with pytest.raises(DataError, match=r"annotation file '.*b\.json' \(ann_file\) does not exist"):
        check_data(config(data))


def test_missing_images_inside_of_wrappers(data):
    data['data_prefix']['img'] = 'nowhere'
    wrapped = dict(type='R', dataset=dict(type='ConcatDataset', datasets=[data]))
    sentence = r"train_dataloader\.dataset\.dataset\.datasets\.0: folder '.*nowhere'"
    with pytest.raises(DataError, match=sentence):
        check_data(config(wrapped))


def test_only_the_loaders_asked_for_and_only_local_data(data):
    data['ann_file'] = 'b.json'
    check_data(config(data, 'test_dataloader'))
    with pytest.raises(DataError):
        check_data(config(data, 'test_dataloader'), ['test_dataloader'])
    check_data(config(dict(data, backend_args=dict(backend='petrel'))))
