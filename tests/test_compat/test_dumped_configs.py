"""Configs and the pointer to the last checkpoint are not written through links."""

import os

import pytest
from mmengine.config import Config

from tests.methods import runner


@pytest.mark.parametrize('name', ['a.py', 'a.json'])
def test_a_link_is_replaced(tmp_path, name):
    (tmp_path / 'mine.txt').write_text('mine')
    (tmp_path / name).symlink_to('mine.txt')
    Config(dict(b=1, c=dict(d='e'))).dump(tmp_path / name)
    assert (tmp_path / 'mine.txt').read_text() == 'mine'
    assert not (tmp_path / name).is_symlink()
    assert Config.fromfile(tmp_path / name).c.d == 'e'


def test_without_a_file_it_is_text():
    assert Config(dict(b=1)).dump() == 'b = 1\n'


@pytest.mark.parametrize('planted', ['link', 'pipe'])
def test_a_run_in_a_folder_of_somebody_else(tmp_path, planted):
    (tmp_path / 'mine.txt').write_text('mine')
    work = tmp_path / 'work'
    work.mkdir()
    run = runner('crosskd', work, steps=1)
    object.__setattr__(run.cfg, '_filename', 'named.py')
    for name in ('last_checkpoint', 'named.py'):
        if planted == 'link':
            (work / name).symlink_to(tmp_path / 'mine.txt')
        else:
            os.mkfifo(work / name)
    run.dump_config()
    run.train()
    assert (tmp_path / 'mine.txt').read_text() == 'mine'
    pointer = work / 'last_checkpoint'
    assert pointer.is_file() and not pointer.is_symlink()
    assert pointer.read_text().startswith(str(work))
    assert (work / 'named.py').is_file() and not (work / 'named.py').is_symlink()
