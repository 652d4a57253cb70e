"""Sets are written atomically and other folders are not changed."""

import json

import numpy as np
import pytest

from mmkd_sod.datasets.scenes.store import set_present, write_scene_image, write_set
from mmkd_sod.errors import DataError


def write(root, settings, fill=None):
    def one_file(folder, advance):
        (folder / 'a.txt').write_text('a')
        advance()

    return write_set(root, settings, 1, dict(classes=['x']), 1, fill or one_file, progress=False)


def test_made_once(tmp_path):
    root = tmp_path / 'deep' / 'set'
    assert write(root, dict(seed=3)) and not write(root, dict(seed=3))
    assert json.loads((root / 'meta.json').read_text()) == dict(
        version=1, settings=dict(seed=3), classes=['x']
    )
    assert [path.name for path in root.parent.iterdir()] == ['set']
    with pytest.raises(DataError, match='seed=3 instead of 4'):
        write(root, dict(seed=4))
    with pytest.raises(DataError, match='version=1 instead of 2'):
        set_present(root, dict(seed=3), 2)


def test_an_interrupted_fill_leaves_nothing(tmp_path):
    def broken(folder, advance):
        (folder / 'a.txt').write_text('a')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / 'set', dict(seed=0), broken)
    assert not list(tmp_path.iterdir())


def test_other_folders_are_not_changed(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(DataError, match='has no meta'):
        write(tmp_path, dict(seed=0))
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


def test_a_picture_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(DataError, match=r"x\.xyz': no image of shape \(4, 4\)"):
        write_scene_image(tmp_path / 'x.xyz', np.zeros((4, 4), np.uint8))
