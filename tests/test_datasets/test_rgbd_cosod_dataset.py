"""RGBDCoSODDataset: groups of any size, and messages for unmatched files."""

import shutil

import pytest

from mmkd_sod.datasets import RGBDCoSODDataset, rgbd_cosod_dataset
from mmkd_sod.errors import DataError
from mmkd_sod.registry import DATASETS


def write(root, groups, kinds=('image', 'depth', 'mask')):
    """Write empty files ``KIND/GROUP/NAME``; matching uses names only."""
    for kind in kinds:
        for group, names in groups.items():
            (root / kind / group).mkdir(parents=True)
            for name in names:
                suffix = '.jpg' if kind == 'image' else '.png'
                (root / kind / group / f'{name}{suffix}').touch()
    return root


def test_groups_and_names(tmp_path):
    root = write(tmp_path / 'cosal', dict(banana=['b', 'a'], cup=['a']))
    dataset = DATASETS.build(dict(type='mmkd_sod.RGBDCoSODDataset', data_root=str(root)))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [(info['group'], info['img_name']) for info in infos] == [
        ('banana', 'banana/a'),
        ('banana', 'banana/b'),
        ('cup', 'cup/a'),
    ]
    assert infos[1]['depth_path'] == str(root / 'depth/banana/b.png')
    assert infos[1]['seg_map_path'] == str(root / 'mask/banana/b.png')
    assert infos[1]['dataset_name'] == 'cosal'


def test_a_group_of_one_image_and_one_of_500(tmp_path):
    root = write(tmp_path, dict(one=['x'], many=[f'{i:03d}' for i in range(500)]))
    dataset = RGBDCoSODDataset(data_root=str(root))
    groups = [dataset.get_data_info(i)['group'] for i in range(len(dataset))]
    assert groups == ['many'] * 500 + ['one']


def test_names_of_other_roots_and_without_masks(tmp_path):
    root = write(tmp_path, dict(a=['1']), kinds=('RGB', 'depth'))
    (root / 'RGB/a/1.png').rename(root / 'RGB/a/1.webp')
    dataset = RGBDCoSODDataset(
        data_root=str(root), data_prefix=dict(img_path='RGB', depth_path='depth')
    )
    assert 'seg_map_path' not in dataset.get_data_info(0)


def test_a_list_of_images(tmp_path):
    root = write(tmp_path, dict(a=['1', '2'], b=['1']))
    (root / 'list.txt').write_text('b/1\na/2\n')
    dataset = RGBDCoSODDataset(data_root=str(root), ann_file='list.txt')
    assert [dataset.get_data_info(i)['group'] for i in range(2)] == ['b', 'a']


@pytest.mark.parametrize(
    'change, words',
    [
        (
            lambda root: (root / 'depth/a/2.png').unlink(),
            r"1 of 3 images have no depth map in '.*depth', first 'a/2' .the most similar name is",
        ),
        (
            lambda root: (root / 'depth/a/2.png').rename(root / 'depth/a/2_depth.png'),
            r"first 'a/2' .the most similar name is 'a/(2_depth|1)\.png'",
        ),
        (lambda root: shutil.rmtree(root / 'depth/b'), "first 'b/1'"),
        (lambda root: shutil.rmtree(root / 'depth'), 'the folder of depth maps .* does not exist'),
        (lambda root: (root / 'mask/a/2.png').unlink(), r"the image 'a/2\.jpg' has no mask"),
        (lambda root: shutil.rmtree(root / 'image'), 'the folder of images .* does not exist'),
        (lambda root: (shutil.rmtree(root / 'image'), (root / 'image').mkdir()), 'has no images'),
        (
            lambda root: [
                (root / kind / f'x{suffix}').touch()
                for kind, suffix in (('image', '.jpg'), ('depth', '.png'), ('mask', '.png'))
            ],
            'not in the folder',
        ),
    ],
)
def test_unmatched_files_are_named(tmp_path, change, words):
    root = write(tmp_path, dict(a=['1', '2'], b=['1']))
    change(root)
    with pytest.raises(DataError, match=words):
        RGBDCoSODDataset(data_root=str(root))


def test_depth_is_required(tmp_path):
    root = write(tmp_path, dict(a=['1']))
    with pytest.raises(DataError, match='has no depth_path'):
        RGBDCoSODDataset(data_root=str(root), data_prefix=dict(img_path='image'))


def test_empty_groups_and_unused_depth_do_not_matter(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(rgbd_cosod_dataset, 'print_log', lambda text, **kwargs: said.append(text))
    root = write(tmp_path, dict(a=['1'], empty=[]))
    (root / 'depth/a/9.png').touch()
    assert len(RGBDCoSODDataset(data_root=str(root))) == 1
    assert said == [f"{tmp_path.name}: 1 depth maps have no image and are not used, first 'a/9'"]
