"""Choosing the checkpoint that a run resumes from."""

import os

import pytest
import torch
from mmengine.runner import find_latest_checkpoint

from mmkd_sod.utils.checkpoint_files import foreign_content, is_complete, latest_checkpoint


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


POINTER_OF_LFS = b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'


@pytest.mark.parametrize(
    'content, fault',
    [
        (b'<!DOCTYPE html>\n<html><body>Sign in</body></html>', 'web page'),
        (b'\xef\xbb\xbf\n <HTML lang="en">', 'web page'),
        (POINTER_OF_LFS, 'Git LFS pointer'),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'XML'),
        (b'\x1f\x8b\x08\x00rest', 'archive'),
        (b'\x40\x00\x00\x00\x00\x00\x00\x00{"a":' + b' ' * 80, 'safetensors'),
        (b'Not Found', "text that begins with 'Not Found'"),
        ('h\u00e4'.encode() * 300, 'text'),
        (b'', 'empty'),
    ],
)
def test_files_that_are_no_checkpoints_are_named(content, fault, tmp_path):
    (tmp_path / 'a.pth').write_bytes(content)
    assert fault in foreign_content(tmp_path / 'a.pth')


def test_checkpoints_are_not_foreign(tmp_path):
    for old in (False, True):
        torch.save(
            dict(a=torch.ones(2)), tmp_path / 'a.pth', _use_new_zipfile_serialization=not old
        )
        assert foreign_content(tmp_path / 'a.pth') is None
    (tmp_path / 'a.pth').write_bytes(b'\x80\x02binary\xff\xfe')
    assert foreign_content(tmp_path / 'a.pth') is None
