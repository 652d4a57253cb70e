"""Files are written atomically."""

import json

import pytest

from mmkd_sod.utils.files import atomic_path, is_hidden, leftovers, write_json


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
