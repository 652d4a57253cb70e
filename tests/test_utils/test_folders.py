"""The files of a folder are replaced together, and nothing else in it changes."""

import os
import signal
import sys

import pytest

from mmkd_sod.utils import folders
from mmkd_sod.utils.folders import replaced_folder

NAMES = ('a.txt', 'b.txt')


def filled(folder):
    """Make a folder with old files and with what a user put beside them."""
    (folder / 'notes' / 'deep').mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_text('old')
    (folder / 'mine.txt').write_text('mine')
    (folder / 'notes' / 'deep' / 'x.txt').write_text('x')
    (folder / 'link').symlink_to('nowhere')
    return folder


def write(folder, text='new'):
    with replaced_folder(folder, NAMES) as partial:
        for name in NAMES:
            (partial / name).write_text(text)


def check(folder, text):
    assert [(folder / name).read_text() for name in NAMES] == [text, text]
    assert sorted(path.name for path in folder.iterdir()) == [
        'a.txt', 'b.txt', 'link', 'mine.txt', 'notes',
    ]  # fmt: skip
    assert (folder / 'mine.txt').read_text() == 'mine' and os.readlink(folder / 'link') == 'nowhere'
    assert (folder / 'notes' / 'deep' / 'x.txt').read_text() == 'x'
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.fixture(params=['at once', 'one by one', 'one name per file'])
def way(request, monkeypatch):
    """Each way to replace files, whichever this file system has."""

    def refused(*args, **kwargs):
        raise OSError(38, 'not here')

    if request.param == 'at once' and sys.platform != 'linux':
        pytest.skip('folders are exchanged on Linux')
    if request.param == 'one by one':
        monkeypatch.setattr(folders, '_exchange', refused)
    if request.param == 'one name per file':
        monkeypatch.setattr(folders.os, 'link', refused)
    return request.param


def test_other_files_stay(tmp_path, way):
    folder = filled(tmp_path / 'out')
    folder.chmod(0o750)
    mine = os.stat(folder / 'mine.txt').st_ino
    write(folder)
    check(folder, 'new')
    assert folder.stat().st_mode & 0o777 == 0o750
    if way != 'one name per file':
        assert os.stat(folder / 'mine.txt').st_ino == mine


def test_a_folder_that_is_new_empty_or_a_link(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link').symlink_to('real')
    for name in ('new', 'deep/new', 'empty', 'link'):
        write(tmp_path / name)
        assert (tmp_path / name / 'a.txt').read_text() == 'new'
    assert (tmp_path / 'link').is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'deep', 'empty', 'link', 'new', 'real',
    ]  # fmt: skip


def test_nothing_changes_where_the_block_raises(tmp_path):
    folder = filled(tmp_path / 'out')
    with pytest.raises(ZeroDivisionError), replaced_folder(folder, NAMES) as partial:
        (partial / 'a.txt').write_text('half')
        raise ZeroDivisionError
    check(folder, 'old')


def test_a_file_that_cannot_be_moved_puts_the_others_back(tmp_path, monkeypatch):
    folder = filled(tmp_path / 'out')
    (folder / 'a.txt').unlink()
    real = os.replace

    def fails(source, target):
        if str(target) == str(folder / 'b.txt'):
            raise OSError(28, 'No space left on device')
        real(source, target)

    monkeypatch.setattr(folders, '_replace_at_once', lambda *args: False)
    monkeypatch.setattr(folders.os, 'replace', fails)
    with pytest.raises(OSError, match='No space') as info:
        write(folder)
    assert info.value.filename == str(folder)
    assert not (folder / 'a.txt').exists() and (folder / 'b.txt').read_text() == 'old'
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_a_folder_in_place_of_a_file_is_kept(tmp_path):
    folder = filled(tmp_path / 'out')
    (folder / 'a.txt').unlink()
    (folder / 'a.txt').mkdir()
    (folder / 'a.txt' / 'mine').touch()
    with pytest.raises(IsADirectoryError) as info:
        write(folder)
    assert info.value.filename == str(folder / 'a.txt') and (folder / 'a.txt' / 'mine').exists()


def test_the_working_directory_is_not_exchanged(tmp_path, monkeypatch):
    folder = filled(tmp_path / 'out')
    monkeypatch.chdir(folder)
    write('.')
    check(folder, 'new')
    assert os.path.samefile(os.getcwd(), folder)


def test_files_that_appear_meanwhile_are_kept(tmp_path, monkeypatch):
    folder = filled(tmp_path / 'out')
    real = folders._exchange

    def late(first, second):
        (second / 'mine.txt').unlink()
        (second / 'mine.txt').write_text('edited')
        (second / 'late.txt').write_text('late')
        real(first, second)

    monkeypatch.setattr(folders, '_exchange', late)
    write(folder)
    assert (folder / 'mine.txt').read_text() == 'edited'
    assert (folder / 'late.txt').read_text() == 'late'


def _write_and_die(folder, step: int) -> None:
    """Replace the files, and be killed at a call into the operating system."""
    calls = 0

    def watch(event, args):
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    write(folder)
    os._exit(0)


@pytest.mark.skipif(sys.platform != 'linux', reason='folders are exchanged on Linux')
def test_a_kill_at_any_step_leaves_old_or_new(tmp_path):
    states = set()
    for step in range(1, 300):
        folder = filled(tmp_path / f'{step}' / 'out')
        pid = os.fork()
        if pid == 0:
            _write_and_die(folder, step)
        ended = os.waitpid(pid, 0)[1]
        text = (folder / 'a.txt').read_text()
        states.add(text)
        assert (folder / 'b.txt').read_text() == text
        assert (folder / 'mine.txt').read_text() == 'mine'
        assert (folder / 'notes' / 'deep' / 'x.txt').read_text() == 'x'
        write(folder, 'next')
        check(folder, 'next')
        if ended == 0:
            break
    assert states == {'old', 'new'} and ended == 0 and step > 20
