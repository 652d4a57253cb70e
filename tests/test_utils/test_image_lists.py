"""Any file name survives a list."""

import os

import numpy as np
import pytest

from mmkd_sod.datasets.sod_dataset import UnlabelledImageDataset
from mmkd_sod.utils.image_lists import listed, unlisted
from mmkd_sod.utils.images import write_image
from tests.sod_data import write_set

NAMES = ['a\nb', 'a\rb', 'a b', ' a', '#a', '"a"', 'a.png b', 'a\u2028b', 'ä', os.fsdecode(b'\xff')]


@pytest.mark.parametrize('name', ['a.jpg', 'folder/a b.png', 'ä.png'])
def test_common_names_stay_plain(name):
    assert listed(name) == name and unlisted(name) is None


@pytest.mark.parametrize('name', NAMES, ids=ascii)
def test_names_come_back(tmp_path, name):

    root = write_set(tmp_path / 'set')
    file = f'{name}.png'
    write_image(root / 'image' / file, np.zeros((4, 4, 3), np.uint8))
    (root / 'list.txt').write_text(f'{listed(file)}\n0.png\n', encoding='utf-8')
    data = UnlabelledImageDataset(
        data_root=str(root), ann_file='list.txt', data_prefix=dict(img_path='image')
    )
    infos = [data.get_data_info(index) for index in range(2)]
    assert [info['img_name'] for info in infos] == [name, '0']


@pytest.mark.parametrize('line', ['"', '""x', '"\\x"', 'a"b"'])
def test_lines_that_are_no_json_string_are_plain(line):
    assert unlisted(line) is None
