"""SODDataset and UnlabelledImageDataset: matching, lists, and errors."""

import shutil

import cv2
import numpy as np
import pytest

from mmkd_sod.datasets import SODDataset, UnlabelledImageDataset
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.registry import DATASETS
from tests.sod_data import write_set


def names(dataset):
    return [dataset.get_data_info(i)['img_name'] for i in range(len(dataset))]


def test_folders(tmp_path):
    root = write_set(tmp_path / 'set')
    dataset = DATASETS.build(dict(type='mmkd_sod.SODDataset', data_root=str(root)))
    info = dataset.get_data_info(1)
    assert names(dataset) == ['0', '1', '2'] and dataset.name == 'set'
    assert info['img_path'] == str(root / 'image/1.png')
    assert info['seg_map_path'] == str(root / 'mask/1.png') and info['dataset_name'] == 'set'
    assert dataset.metainfo['classes'] == ('background', 'salient')


def test_mixed_formats_dots_and_one_folder_for_both(tmp_path):
    for name in ('a.v1.jpg', 'b.JPG', 'c.bmp', 'a.v1.png', 'b.png', 'c.png'):
        cv2.imwrite(str(tmp_path / name.lower()), np.zeros((4, 4, 3), np.uint8))
    shutil.move(tmp_path / 'b.jpg', tmp_path / 'b.JPG')
    (tmp_path / '.hidden.jpg').write_bytes(b'')
    (tmp_path / 'notes.txt').write_text('no image')
    dataset = SODDataset(
        data_root=str(tmp_path),
        data_prefix=dict(img_path='', seg_map_path=''),
        img_suffix=('.jpg', '.bmp'),
    )
    assert names(dataset) == ['a.v1', 'b', 'c']


@pytest.mark.parametrize(
    'content',
    [
        '2\n0\n',
        '2.png\n0.png',
        '\ufeff2\r\n\r\n# a comment\r\n0.png\r\n',
        '2.png 2.png\n0.png 0.png\n',
    ],
)
def test_lists_keep_their_order(tmp_path, content):
    root = write_set(tmp_path)
    (root / 'list.txt').write_text(content, encoding='utf-8')
    dataset = SODDataset(data_root=str(root), ann_file='list.txt')
    assert names(dataset) == ['2', '0']


def test_a_list_may_name_other_masks_and_spaces(tmp_path):
    root = write_set(tmp_path)
    shutil.copy(root / 'image/0.png', root / 'image/my photo.png')
    shutil.copy(root / 'mask/0.png', root / 'mask/my photo.png')
    (root / 'list.txt').write_text('0.png 1.png\nmy photo\nmy photo.png\n')
    dataset = SODDataset(data_root=str(root), ann_file='list.txt')
    assert dataset.get_data_info(0)['seg_map_path'].endswith('mask/1.png')
    assert names(dataset)[1:] == ['my photo', 'my photo']


@pytest.mark.parametrize(
    'line, words',
    [
        ('7', "line 2: there is no image '7'"),
        ('../mask/0.png', 'is outside of the data folder'),
        ('/etc/passwd', 'is outside of the data folder'),
        ('a/../../x', 'is outside of'),
        ('..\\mask\\0.png', 'is outside of'),
        ('0.png 9.png', "has no mask in .*; add '9.png'"),
        ('0.png ../image/0.png', 'is outside of'),
    ],
)
def test_refuses_lines(tmp_path, line, words):
    root = write_set(tmp_path)
    (root / 'list.txt').write_text(f'0\n{line}\n')
    with pytest.raises(DataError, match=words):
        SODDataset(data_root=str(root), ann_file='list.txt')


def test_missing_files_are_named(tmp_path):
    root = write_set(tmp_path)
    with pytest.raises(DataError, match="list '.*none.txt' cannot be read"):
        SODDataset(data_root=str(root), ann_file='none.txt')
    (root / 'empty.txt').write_text('\n')
    with pytest.raises(DataError, match="empty.txt' has no images"):
        SODDataset(data_root=str(root), ann_file='empty.txt')
    (root / 'binary.txt').write_bytes(b'\xff\xfe\x00\x81')
    with pytest.raises(DataError, match='not a text file'):
        SODDataset(data_root=str(root), ann_file='binary.txt')
    (root / 'mask/1.png').unlink()
    with pytest.raises(DataError, match=r"the image '1.png' has no mask in .*; add '1.png'"):
        SODDataset(data_root=str(root))
    with pytest.raises(DataError, match="folder of masks '.*gt' does not exist"):
        SODDataset(data_root=str(root), data_prefix=dict(img_path='image', seg_map_path='gt'))
    (root / 'void').mkdir()
    with pytest.raises(DataError, match="void' has no images"):
        SODDataset(data_root=str(root), data_prefix=dict(img_path='void'))
    with pytest.raises(ConfigError, match='set a name without slashes'):
        SODDataset(data_root=str(root), name='a/b')


def test_unlabelled_images_below_a_folder(tmp_path):
    root = write_set(tmp_path / 'a')
    write_set(tmp_path / 'b' / 'c', shapes=((8, 8),))
    dataset = UnlabelledImageDataset(data_root=str(tmp_path))
    assert names(dataset) == [
        *(f'a/image/{i}' for i in range(3)),
        *(f'a/mask/{i}' for i in range(3)),
        'b/c/image/0',
        'b/c/mask/0',
    ]
    assert 'seg_map_path' not in dataset.get_data_info(0)
    only = UnlabelledImageDataset(data_root=str(root), data_prefix=dict(img_path='image'))
    assert names(only) == ['0', '1', '2']


def test_layouts_of_the_public_sets(root, tmp_path, monkeypatch):
    from mmengine.config import Config

    monkeypatch.chdir(tmp_path)
    names = {}
    for path in sorted((root / 'configs/_base_/datasets').glob('*.py')):
        cfg = Config.fromfile(path)
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            dataset = cfg[loader].get('dataset', {})
            for part in dataset.get('datasets', [dataset]):
                if part.get('type') != 'mmkd_sod.SODDataset':
                    continue
                prefix = part.data_prefix
                write_set(
                    tmp_path / part.data_root, ((8, 8),), prefix.img_path, prefix.seg_map_path
                )
                assert len(DATASETS.build(part)) == 1
                names.setdefault(path.stem, set()).add(part.name)
    assert names['sod_benchmarks'] == {
        'DUTS-TR',
        'DUTS-TE',
        'ECSSD',
        'HKU-IS',
        'DUT-OMRON',
        'PASCAL-S',
    }
    assert names['pascal_s'] == {'PASCAL-S'}


FOREIGN = (
    '.ipynb_checkpoints/0.png',
    '__MACOSX/._0.png',
    '._0.png',
    'Thumbs.db',
    'sub/.cache/0.png',
)


@pytest.mark.parametrize('recursive', [False, True])
def test_files_of_other_programs_are_no_data_and_suffixes_may_be_in_capitals(tmp_path, recursive):
    root = write_set(tmp_path)
    for kind, name, capitals in (('image', '1', '1.PNG'), ('mask', '2', '2.Png')):
        shutil.move(root / kind / f'{name}.png', root / kind / capitals)
        for file in FOREIGN:
            (root / kind / file).parent.mkdir(parents=True, exist_ok=True)
            (root / kind / file).write_bytes(b'not data')
    dataset = SODDataset(data_root=str(root), recursive=recursive)
    assert names(dataset) == ['0', '1', '2']
    assert dataset.get_data_info(2)['seg_map_path'].endswith('2.Png')
    assert names(UnlabelledImageDataset(data_root=str(root / 'image'))) == ['0', '1', '2']
