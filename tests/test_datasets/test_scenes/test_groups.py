"""Generated groups: a common shape, consistent image, depth and mask, reproducible files."""

import cv2
import numpy as np
import pytest

from mmkd_sod.datasets.scenes import SHAPES, GroupSettings, groups, make_group_image, make_groups
from mmkd_sod.errors import ConfigError

SMALL = GroupSettings(train=3, val=2, images=2, width=96, height=80, seed=5)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'groups'
    assert make_groups(root, SMALL, progress=False)
    return root


def test_files(root):
    for split, count in (('train', 3), ('val', 2)):
        for kind, suffix in (('image', 'jpg'), ('depth', 'png'), ('mask', 'png')):
            folders = sorted(path.name for path in (root / split / kind).iterdir())
            assert folders == [groups.group_name(split, group) for group in range(count)]
            files = sorted(path.name for path in (root / split / kind / folders[0]).iterdir())
            assert files == [f'{index:04d}.{suffix}' for index in range(2)]
    mask = cv2.imread(str(root / 'val/mask' / folders[1] / '0001.png'), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (80, 96) and set(np.unique(mask)) == {0, 255}
    assert not make_groups(root, SMALL, progress=False)


@pytest.mark.parametrize('group', range(4))
def test_one_shape_is_common(group):
    label = SHAPES.index(groups.group_shape('train', group))
    others = set()
    for index in range(6):
        scene, depth, mask = make_group_image(SMALL, 'train', group, index)
        assert scene.labels.count(label) == 1
        others |= set(scene.labels) - {label}
        np.testing.assert_array_equal(mask > 0, scene.instances == 1 + scene.labels.index(label))
        assert depth.shape == mask.shape == scene.image.shape[:2]
    assert len(others) >= 2


def test_depth_is_noisy():
    nearest, error = [], []
    for index in range(60):
        scene, depth, mask = make_group_image(SMALL, 'val', 0, index)
        nearest.append(mask[scene.instances == 1].all())
        # Unknown scale, and an error of some percent.
        true = scene.depth.astype(float)
        scale = (depth * true).sum() / np.square(true).sum()
        error.append(np.abs(depth - scale * true).mean() / 255)
    assert 0.7 < np.mean(nearest) < 0.99
    assert 0.02 < np.mean(error) < 0.1


def test_the_same_settings_give_the_same_picture():
    first, again = (make_group_image(SMALL, 'train', 1, 1) for _ in range(2))
    for a, b in zip((first[0].image, *first[1:]), (again[0].image, *again[1:]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (make_group_image(SMALL, 'val', 1, 1)[0].image != first[0].image).any()


def test_settings_are_checked():
    with pytest.raises(ConfigError, match='images=0 must be an integer of at least 1'):
        GroupSettings(images=0)
