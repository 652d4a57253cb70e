"""Files are written atomically."""

import json
import os
import platform

import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.utils.files import (
    atomic_path,
    check_regular,
    is_hidden,
    leftovers,
    open_appending,
    read_bytes,
    read_json,
    refuse_links,
    remove_leftovers,
    write_json,
)


def test_atomic_path_replaces_at_the_end(tmp_path):
    path = tmp_path / 'new' / 'note.txt'
    with atomic_path(path) as temporary:
        assert temporary.suffix == '.txt' and temporary.parent == path.parent
        temporary.write_text('whole')
        assert not path.exists()
    assert path.read_text() == 'whole'
    assert list(path.parent.iterdir()) == [path]


def test_atomic_path_keeps_the_old_file_if_writing_fails(tmp_path):
    path = tmp_path / 'note.txt'
    path.write_text('old')
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text('half')
        raise KeyboardInterrupt
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('host', ['vm', 'gpu-3.cluster.org', ''])
def test_leftovers_are_those_of_the_file_alone(tmp_path, monkeypatch, host):
    monkeypatch.setattr('platform.node', lambda: host)
    left = {}
    for name in ('a.pth', 'a.best.pth', 'a.txt', 'ab.pth'):
        with atomic_path(tmp_path / name) as temporary:
            temporary.touch()
            left[name] = temporary
    for temporary in left.values():
        temporary.write_text('half, of a process that was killed')
    assert leftovers(tmp_path / 'a.pth') == [left['a.pth']]
    assert leftovers(tmp_path / 'none' / 'a.pth') == []


def test_write_json(tmp_path):
    write_json(tmp_path / 'a.json', dict(b=[1, 2]))
    assert json.loads((tmp_path / 'a.json').read_text()) == dict(b=[1, 2])


@pytest.mark.parametrize(
    'path, hidden',
    [
        ('a.png', False),
        ('b/c/a.PNG', False),
        ('._a.png', True),
        ('.ipynb_checkpoints/a-checkpoint.png', True),
        ('b/__MACOSX/a.png', True),
        ('b/@eaDir/a.jpg', True),
        ('Thumbs.db', True),
    ],
)
def test_hidden_paths(path, hidden):
    assert is_hidden(path) is hidden


def test_a_link_is_replaced_and_not_followed(tmp_path):
    precious = tmp_path / 'precious.txt'
    precious.write_text('kept')
    (tmp_path / 'out').mkdir()
    path = tmp_path / 'out' / 'a.json'
    path.symlink_to(precious)
    write_json(path, 1)
    assert precious.read_text() == 'kept' and not path.is_symlink() and read_json(path) == 1


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path):
    precious = tmp_path / 'precious.txt'
    precious.write_text('kept')
    with atomic_path(tmp_path / 'a.txt') as temporary:
        temporary.touch()
    temporary.symlink_to(precious)
    write_json(tmp_path / 'a.txt', 1)
    assert precious.read_text() == 'kept'


def test_folders_that_are_links_are_refused(tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    out = tmp_path / 'out'
    (out / 'set').mkdir(parents=True)
    (out / 'set' / 'deep').symlink_to(tmp_path / 'elsewhere')
    refuse_links(out / 'a.png', out)
    refuse_links(out / 'set' / 'a.png', out)
    refuse_links(out / 'new' / 'a.png', out)
    with pytest.raises(DataError, match=r"set/deep' is a symbolic link"):
        refuse_links(out / 'set' / 'deep' / 'b' / 'a.png', out)
    # The folder that the user names may be a link.
    (tmp_path / 'named').symlink_to(out)
    refuse_links(tmp_path / 'named' / 'a.png', tmp_path / 'named')


def test_appending_follows_no_link(tmp_path):
    with open_appending(tmp_path / 'a.txt') as file:
        file.write('1\n')
    with open_appending(tmp_path / 'a.txt') as file:
        file.write('2\n')
    assert (tmp_path / 'a.txt').read_text() == '1\n2\n'
    (tmp_path / 'b.txt').symlink_to(tmp_path / 'a.txt')
    with pytest.raises(OSError, match='symbolic links'):
        open_appending(tmp_path / 'b.txt')


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'a.json').write_text('[1]')
    assert read_json(tmp_path / 'a.json') == [1]
    check_regular(tmp_path / 'a.json')
    check_regular(tmp_path / 'missing')
    for path in (tmp_path / 'pipe', tmp_path, '/dev/zero'):
        with pytest.raises(OSError, match='not a regular file'):
            read_bytes(path)
    for path in (tmp_path / 'pipe', '/dev/zero'):
        with pytest.raises(DataError, match='is a pipe, socket or device'):
            check_regular(path)


def test_deep_json_is_a_value_error(tmp_path):
    (tmp_path / 'a.json').write_text('[' * 200_000)
    with pytest.raises(ValueError, match='nested too deeply'):
        read_json(tmp_path / 'a.json')


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match='No space') as caught, atomic_path(tmp_path / 'a.txt'):
        raise OSError(28, 'No space left on device')
    assert caught.value.filename == str(tmp_path / 'a.txt') and not list(tmp_path.iterdir())


def test_only_temporary_files_of_ended_processes_of_this_machine_are_removed(tmp_path):
    host, ended = platform.node().replace('.', '_'), 2**22 + 1
    gone = [f'.epoch_1.{host}.{ended}.pth', f'.a.b.{host}.{ended}', f'.kept.{host}.{ended}.txt']
    kept = [
        f'.epoch_1.{host}.{os.getpid()}.pth',
        f'.epoch_1.elsewhere.{ended}.pth',
        f'epoch_1.{host}.{ended}.pth',
        '.hidden',
    ]
    for name in [*gone, *kept]:
        (tmp_path / name).write_text('half')
    (tmp_path / f'.folder.{host}.{ended}').mkdir()
    assert remove_leftovers(tmp_path) == sorted(gone)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(kept)
