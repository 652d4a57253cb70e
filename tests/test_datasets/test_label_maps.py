"""Values of label maps are counted, and those that are no classes are found."""

import numpy as np
import pytest
from PIL import Image

from mmkd_sod.datasets.label_maps import examine_label_maps, never_seen


class Set(list):
    def get_data_info(self, index):
        return self[index]


def write(folder, *maps, **more):
    records = Set()
    for i, array in enumerate(maps):
        path = str(folder / f'{i}.png')
        Image.fromarray(array).save(path)
        records.append(dict(seg_map_path=path, **more))
    return records


def full(*values, dtype=np.uint8):
    return np.repeat(np.array(values, dtype), 6)[None].repeat(4, 0)


@pytest.mark.parametrize(
    'maps, more, words',
    [
        ([full(0, 1, 255), full(2)], {}, ''),
        ([full(0, 1), full(0, 3)], {}, "1.png' has the value 3; the 3 classes are 0 ... 2"),
        ([full(0, 300, dtype=np.uint16)], {}, 'has the value 300'),
        ([full(255), full(255)], {}, 'all pixels of 2 label maps are ignored'),
        ([full(1, 2, 3)], dict(reduce_zero_label=True), ''),
        ([full(0, 0)], dict(reduce_zero_label=True), 'are ignored'),
        ([full(1, 2, 11)], dict(label_map={11: 255}), ''),
        ([np.zeros((4, 6, 3), np.uint8)], {}, "0.png' is in colour"),
    ],
)
def test_faults(tmp_path, maps, more, words):
    fault = examine_label_maps(write(tmp_path, *maps, **more)).fault(3, {255})
    assert words in fault and bool(fault) == bool(words)


def test_two_classes_of_0_and_255(tmp_path):
    found = examine_label_maps(write(tmp_path, full(0, 255)))
    assert 'no map has class 1' in found.fault(2, {255})
    assert examine_label_maps(write(tmp_path, full(0, 1, 255))).fault(2, {255}) == ''


def test_shares_and_classes_never_seen(tmp_path):
    found = examine_label_maps(write(tmp_path, full(0, 255), full(0, 2)))
    assert found.files == 2 and found.share((255,)) == 0.25
    assert never_seen(found, ('a', 'b', 'c')) == ['b']
    assert found.first[2].endswith('1.png')


def test_masks_and_remote_files_are_left_out():
    records = Set([dict(seg_map_path='s3://a.png'), dict(seg_map_path='a.png', mask_rule=None), {}])
    assert examine_label_maps(records).files == 0
