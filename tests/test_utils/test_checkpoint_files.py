"""Choosing the checkpoint that a run resumes from."""

import os

import pytest
import torch
from mmengine.runner import find_latest_checkpoint

from mmkd_sod.utils.checkpoint_files import is_complete, latest_checkpoint


def save(path, when=None):
    torch.save(dict(a=torch.ones(3)), path)
    if when is not None:
        os.utime(path, (when, when))
    return str(path)


def point(folder, name, when=None):
    (folder / 'last_checkpoint').write_text(name)
    if when is not None:
        os.utime(folder / 'last_checkpoint', (when, when))


def cut(path):
    with open(path, 'r+b') as file:
        file.truncate(os.path.getsize(path) // 2)


class TestLatest:
    def test_uses_the_pointer(self, tmp_path):
        assert latest_checkpoint(tmp_path) is None
        wanted = save(tmp_path / 'epoch_2.pth', 200)
        # Of an older run in the same folder.
        save(tmp_path / 'epoch_9.pth', 100)
        point(tmp_path, wanted, 200)
        assert latest_checkpoint(tmp_path) == wanted
        assert find_latest_checkpoint(str(tmp_path)) == wanted

    def test_follows_a_moved_folder(self, tmp_path):
        wanted = save(tmp_path / 'iter_20.pth')
        point(tmp_path, 'work_dirs/elsewhere/iter_20.pth')
        assert latest_checkpoint(tmp_path) == wanted

    @pytest.mark.parametrize('name', ['', 'epoch_3.pth', 'epo', '\0'])
    def test_skips_incomplete_files_and_broken_pointers(self, tmp_path, name):
        save(tmp_path / 'epoch_1.pth', 100)
        wanted = save(tmp_path / 'epoch_2.pth', 200)
        save(tmp_path / 'epoch_3.pth', 300)
        cut(tmp_path / 'epoch_3.pth')
        save(tmp_path / '.epoch_4.123.pth', 400)
        save(tmp_path / 'best_x_epoch_9.pth', 500)
        assert not is_complete(tmp_path / 'epoch_3.pth')
        point(tmp_path, name)
        assert latest_checkpoint(tmp_path) == wanted

    def test_finds_a_checkpoint_newer_than_the_pointer(self, tmp_path):
        point(tmp_path, save(tmp_path / 'epoch_2.pth', 200), 200)
        wanted = save(tmp_path / 'epoch_3.pth', 300)
        assert latest_checkpoint(tmp_path) == wanted

    def test_leaves_other_storage_to_mmengine(self, tmp_path):
        point(tmp_path, 's3://bucket/epoch_2.pth')
        assert latest_checkpoint(tmp_path) == 's3://bucket/epoch_2.pth'
