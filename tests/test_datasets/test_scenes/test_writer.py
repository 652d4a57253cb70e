"""Sets on disk are complete, consistent and never overwritten."""

import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmkd_sod.datasets.scenes import SHAPES, SceneSettings, make_scene, make_scenes, writer
from mmkd_sod.errors import ConfigError, DataError

SMALL = SceneSettings(train=5, val=3, width=96, height=80, seed=4)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    assert make_scenes(root, SMALL, progress=False)
    return root


def contents(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


def test_files(scenes):
    for split, count in (('train', 5), ('val', 3)):
        for folder, suffix in zip(writer.FOLDERS, ('jpg', 'png', 'png', 'png'), strict=True):
            names = sorted(path.name for path in (scenes / split / folder).iterdir())
            assert names == [f'{index:06d}.{suffix}' for index in range(count)]
            picture = cv2.imread(str(scenes / split / folder / names[0]), cv2.IMREAD_UNCHANGED)
            assert picture.dtype == np.uint8 and picture.shape[:2] == (80, 96)
            assert picture.ndim == (3 if folder == 'images' else 2)
    assert list(scenes.parent.iterdir()) == [scenes]


@pytest.mark.parametrize('split', ['train', 'val'])
def test_boxes_masks_and_saliency_agree(scenes, split, capsys):
    coco = COCO(str(scenes / 'annotations' / f'{split}.json'))
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list(SHAPES)
    assert coco.getAnnIds()
    for image in coco.loadImgs(coco.getImgIds()):
        name = image['file_name'].replace('.jpg', '.png')
        classes = cv2.imread(str(scenes / split / 'masks' / name), cv2.IMREAD_UNCHANGED)
        saliency = cv2.imread(str(scenes / split / 'saliency' / name), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(saliency)) <= {0, 255}
        seen = np.zeros_like(classes)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        assert sum(annotation['salient'] for annotation in annotations) == 1
        for annotation in annotations:
            mask = coco.annToMask(annotation)
            assert not (seen[mask == 1]).any()
            seen[mask == 1] = annotation['category_id']
            y, x = np.nonzero(mask)
            box = [x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()]
            assert annotation['bbox'] == box
            assert annotation['area'] == mask.sum() and annotation['iscrowd'] == 0
            if annotation['salient']:
                np.testing.assert_array_equal(saliency, mask * 255)
        np.testing.assert_array_equal(seen, classes)


def test_an_image_does_not_depend_on_the_size_of_the_set(scenes, tmp_path):
    more = SceneSettings(train=7, val=1, width=96, height=80, seed=4)
    make_scenes(tmp_path / 'more', more, progress=False)
    first, second = contents(scenes), contents(tmp_path / 'more')
    shared = {path for path in first.keys() & second.keys() if path.suffix in ('.jpg', '.png')}
    assert len(shared) == (5 + 1) * 4
    assert all(first[path] == second[path] for path in shared)


def test_splits_and_seeds_differ():
    images = [
        make_scene(SceneSettings(seed=seed), split, 0).image.tobytes()
        for seed in (0, 1)
        for split in ('train', 'val')
    ]
    assert len(set(images)) == 4


def test_again_is_a_no_op(scenes):
    before = {path: path.stat().st_mtime_ns for path in scenes.rglob('*')}
    assert make_scenes(scenes, SMALL, progress=False) is False
    assert before == {path: path.stat().st_mtime_ns for path in scenes.rglob('*')}


def test_other_settings_are_refused(scenes):
    before = contents(scenes)
    other = SceneSettings(train=6, val=3, width=96, height=80, seed=4)
    with pytest.raises(DataError, match='train=5 instead of 6; remove it or give another folder'):
        make_scenes(scenes, other, progress=False)
    assert contents(scenes) == before


def test_another_version_is_refused(scenes, monkeypatch):
    monkeypatch.setattr(writer, 'VERSION', writer.VERSION + 1)
    with pytest.raises(DataError, match='version='):
        make_scenes(scenes, SMALL, progress=False)


@pytest.mark.parametrize('meta', [None, '{', '[]', '{"version": 1}'])
def test_a_folder_of_something_else_is_refused(tmp_path, meta):
    (tmp_path / 'mine.txt').write_text('mine')
    if meta is not None:
        (tmp_path / 'meta.json').write_text(meta)
    with pytest.raises(DataError, match=r'has no meta\.json of generated scenes'):
        make_scenes(tmp_path, SMALL, progress=False)
    assert (tmp_path / 'mine.txt').read_text() == 'mine'


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(path, array):
        if path.name == '000003.jpg':
            raise KeyboardInterrupt
        write(path, array)

    write = writer.write_scene_image
    monkeypatch.setattr(writer, 'write_scene_image', interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_scenes(tmp_path / 'scenes', SMALL, progress=False)
    assert not list(tmp_path.iterdir())


def test_meta(scenes):
    meta = json.loads((scenes / 'meta.json').read_text())
    assert meta['settings']['train'] == 5 and meta['classes'] == list(SHAPES)


@pytest.mark.parametrize('wrong', [dict(train=0), dict(width=32), dict(seed=-1), dict(val=1.5)])
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SceneSettings(**wrong)
