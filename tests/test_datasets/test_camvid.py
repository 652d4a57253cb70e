"""CamVid in both layouts, and errors of a folder."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

from mmkd_sod.datasets.camvid import CamVidDataset
from mmkd_sod.errors import DataError

LAYOUTS = [('images/train', 'annotations/train'), ('train', 'trainannot')]


def write(root, layout, names=('a', 'b'), mode='L'):
    for folder in layout:
        (root / folder).mkdir(parents=True)
    for name in names:
        Image.new('RGB', (8, 6)).save(root / layout[0] / f'{name}.png')
        labels = np.arange(48, dtype=np.uint8).reshape(6, 8) % 12
        Image.fromarray(labels).convert(mode).save(root / layout[1] / f'{name}.png')


def load(root, **more):
    init_default_scope('mmseg')
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    return CamVidDataset('train', str(root), pipeline=pipeline, **more)


@pytest.mark.parametrize('layout', LAYOUTS, ids=['images', 'flat'])
def test_both_layouts_and_ignored_files(tmp_path, layout):
    write(tmp_path, layout)
    data = load(tmp_path)
    assert len(data) == 2 and len(data.metainfo['classes']) == 11
    labels = data[0]['gt_seg_map']
    assert set(np.unique(labels)) == {*range(11), 255}
    assert (labels == 255).sum() == 4


def test_files_of_other_programs_and_suffixes_in_capitals(tmp_path):
    write(tmp_path, LAYOUTS[1])
    for folder in LAYOUTS[1]:
        (tmp_path / folder / '._a.png').write_bytes(b'not data')
    (tmp_path / 'train/a.png').rename(tmp_path / 'train/a.PNG')
    (tmp_path / 'trainannot/b.png').rename(tmp_path / 'trainannot/b.Png')
    data = load(tmp_path)
    assert len(data) == 2
    assert data.get_data_info(1)['seg_map_path'].endswith('b.Png')
    assert set(np.unique(data[1]['gt_seg_map'])) == {*range(11), 255}


def test_refusals(tmp_path):
    with pytest.raises(DataError, match='has neither'):
        load(tmp_path / 'nowhere')
    write(tmp_path / 'empty', LAYOUTS[0], names=())
    with pytest.raises(DataError, match='has no images'):
        load(tmp_path / 'empty')
    write(tmp_path / 'gap', LAYOUTS[0])
    (tmp_path / 'gap' / LAYOUTS[0][1] / 'b.png').unlink()
    with pytest.raises(DataError, match=r"b\.png' of image 'b\.png' does not exist"):
        load(tmp_path / 'gap')
    write(tmp_path / 'colour', LAYOUTS[0], mode='RGB')
    with pytest.raises(DataError, match='is in colour'):
        load(tmp_path / 'colour')
