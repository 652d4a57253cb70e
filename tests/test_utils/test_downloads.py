"""Each address has its own file; broken downloads are continued, and short ones never kept."""

import hashlib
import multiprocessing
import os
import platform
import signal
import time

import pytest

from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils import downloads
from mmkd_sod.utils.downloads import cached_path, fetch
from tests.servers import serving

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(downloads.time, 'sleep', lambda seconds: None)
    monkeypatch.setenv('no_proxy', '127.0.0.1')


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_two_addresses_of_one_file_name_have_two_files(tmp_path):
    files = {'/a/epoch_12.pth': b'a' * 5000, '/b/epoch_12.pth': b'b' * 5000}
    files['/a/epoch_12.pth?version=2'] = b'c'
    with serving(files) as server:
        for _ in range(2):
            for address, content in files.items():
                path = fetch(server.address + address, tmp_path, progress=False)
                assert path.read_bytes() == content and path.name.startswith('epoch_12.')
                assert path.suffix == '.pth'
    assert len(server.requests) == 3 and len(names(tmp_path)) == 3


def test_a_file_of_another_program_is_used_where_its_hash_is_in_its_name(tmp_path):
    digest = hashlib.sha256(CONTENT).hexdigest()[:8]
    (tmp_path / f'good-{digest}.pth').write_bytes(CONTENT)
    (tmp_path / 'bad-00000000.pth').write_bytes(CONTENT)
    (tmp_path / 'plain.pth').write_bytes(CONTENT)
    assert fetch(f'http://nowhere.invalid/x/good-{digest}.pth', tmp_path).read_bytes() == CONTENT
    with serving({'/bad-00000000.pth': b'other', '/plain.pth': b'more'}) as server:
        for name, content in (('bad-00000000', b'other'), ('plain', b'more')):
            path = fetch(f'{server.address}/{name}.pth', tmp_path, False)
            assert path.read_bytes() == content
    assert (tmp_path / 'plain.pth').read_bytes() == CONTENT


def test_a_broken_connection_is_continued(tmp_path):
    with serving({'/w.pth': CONTENT}, break_after=3000, breaks=2) as server:
        path = fetch(f'{server.address}/w.pth', tmp_path, False)
    assert path.read_bytes() == CONTENT and names(tmp_path) == [path.name]
    ranges = [wanted for _, wanted in server.requests]
    assert ranges[0] is None and ranges[1:] == ['bytes=3000-', 'bytes=6000-']


def test_a_short_download_is_never_taken_for_the_file(tmp_path):
    with serving({'/w.pth': CONTENT}, break_after=1000, breaks=99) as server:
        with pytest.raises(CheckpointError, match=r'ended after .* 4000 bytes have arrived'):
            fetch(f'{server.address}/w.pth', tmp_path, False)
        address = f'{server.address}/w.pth'
        assert not cached_path(address, tmp_path).exists()
        server.breaks = 0
        assert fetch(address, tmp_path, False).read_bytes() == CONTENT
    assert server.requests[-1][1] == 'bytes=4000-'


def test_a_changed_file_is_not_joined_with_the_part_of_the_old_one(tmp_path):
    with serving({'/w.pth': CONTENT}, break_after=1000, breaks=99) as server:
        address = f'{server.address}/w.pth'
        with pytest.raises(CheckpointError):
            fetch(address, tmp_path, False)
        server.files['/w.pth'], server.breaks = CONTENT[::-1], 0
        assert fetch(address, tmp_path, False).read_bytes() == CONTENT[::-1]


def test_a_missing_file_is_one_sentence(tmp_path):
    with serving({}) as server, pytest.raises(CheckpointError, match='HTTP 404 .*check the addr'):
        fetch(f'{server.address}/w.pth', tmp_path, False)
    assert len(server.requests) == 1
    with pytest.raises(CheckpointError, match='cannot be downloaded'):
        fetch('http://127.0.0.1:9/w.pth', tmp_path, False)
    assert names(tmp_path) == []


def _fetch(address, folder):
    assert fetch(address, folder, False).read_bytes() == CONTENT


def test_of_several_processes_one_downloads_and_a_killed_one_blocks_nobody(tmp_path):
    start = multiprocessing.get_context('fork').Process
    with serving({'/w.pth': CONTENT}, delay=0.05) as server:
        address = f'{server.address}/w.pth'
        first = start(target=_fetch, args=(address, tmp_path))
        first.start()
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob('.*.part')) and time.monotonic() < deadline:
            server.pause.wait(0.01)
        others = [start(target=_fetch, args=(address, tmp_path)) for _ in range(3)]
        for process in others:
            process.start()
        server.pause.wait(0.2)
        os.kill(first.pid, signal.SIGKILL)
        for process in (first, *others):
            process.join(30)
    assert [process.exitcode for process in (first, *others)] == [-signal.SIGKILL, 0, 0, 0]
    assert len(server.requests) == 2
    assert names(tmp_path) == [cached_path(address, tmp_path).name]


@pytest.mark.parametrize('planted', ['.part', '.tag', ''])
def test_links_in_the_cache_are_not_written_through(tmp_path, planted):
    (tmp_path / 'mine.txt').write_text('mine')
    cache = tmp_path / 'cache'
    cache.mkdir()
    with serving({'/w.pth': CONTENT}) as server:
        address = f'{server.address}/w.pth'
        path = cached_path(address, cache)
        part = path.with_name(f'.{path.name}.{platform.node() or "host"}.part')
        (part.with_suffix(planted) if planted else path).symlink_to(
            '../mine.txt' if planted else '../nowhere'
        )
        assert fetch(address, cache, progress=False).read_bytes() == CONTENT
    assert (tmp_path / 'mine.txt').read_text() == 'mine' and not path.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['cache', 'mine.txt']
