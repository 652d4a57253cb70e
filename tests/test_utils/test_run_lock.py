"""Two trainings never share a folder; a killed one never blocks the next."""

import json
import multiprocessing
import os
import platform

import pytest

from mmkd_sod.errors import ConfigError
from mmkd_sod.utils import run_lock
from mmkd_sod.utils.run_lock import is_first_rank, lock_work_dir, unlock_work_dir


def _train(folder, ready, leave):
    lock_work_dir(folder)
    # A worker process of the data loader, which outlives its killed parent.
    if os.fork() == 0:
        os.read(leave, 1)
        os._exit(0)
    os.write(ready, b'1')
    os.read(leave, 1)


def test_a_second_training_is_refused_until_the_first_is_killed(tmp_path):
    # Pipes, since an event hangs when a process that waits for it is killed.
    (is_ready, ready), (leave, end) = os.pipe(), os.pipe()
    context = multiprocessing.get_context('fork')
    first = context.Process(target=_train, args=(tmp_path, ready, leave))
    first.start()
    assert os.read(is_ready, 1) == b'1'
    with pytest.raises(ConfigError) as info:
        lock_work_dir(tmp_path)
    assert f'in use by the training of process {first.pid} on {platform.node()}' in str(info.value)
    first.kill()
    first.join()
    for _ in range(2):  # once per run of this process
        lock_work_dir(tmp_path)
    assert json.loads((tmp_path / '.lock').read_text())['pid'] == os.getpid()
    os.write(end, b'1')
    for descriptor in (is_ready, ready, leave, end):
        os.close(descriptor)


@pytest.mark.parametrize('content', ['', 'half of', '[]', '{"pid": "x", "host": 1}'])
def test_a_damaged_lock_is_no_lock(tmp_path, content):
    (tmp_path / '.lock').write_text(content)
    lock_work_dir(tmp_path)


@pytest.mark.parametrize(
    ('pid', 'host', 'refused'), [(1, None, True), (2**22 + 1, None, False), (1, 'other', False)]
)
def test_without_locks_of_the_file_system_the_named_process_decides(
    tmp_path, monkeypatch, pid, host, refused
):
    monkeypatch.setattr(run_lock, 'try_lock_file', lambda descriptor: None)
    (tmp_path / '.lock').write_text(json.dumps(dict(pid=pid, host=host or platform.node())))
    if refused:
        with pytest.raises(ConfigError, match='process 1 on'):
            lock_work_dir(tmp_path)
    else:
        lock_work_dir(tmp_path)


def test_other_ranks_take_no_lock(monkeypatch):
    for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK', 'PMI_RANK'):
        monkeypatch.delenv(name, raising=False)
    assert is_first_rank('none') and is_first_rank('pytorch')
    monkeypatch.setenv('RANK', '1')
    assert is_first_rank('none') and not is_first_rank('pytorch')
    monkeypatch.delenv('RANK')
    monkeypatch.setenv('SLURM_PROCID', '3')
    assert not is_first_rank('slurm')


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    (tmp_path / '.lock').symlink_to(tmp_path / 'mine.txt')
    with pytest.raises(ConfigError, match='the lock of the run, cannot be opened'):
        lock_work_dir(tmp_path)
    assert (tmp_path / 'mine.txt').read_text() == 'mine'


def test_the_lock_is_released_and_taken_again(tmp_path):
    assert lock_work_dir(tmp_path) and not lock_work_dir(tmp_path)
    unlock_work_dir(tmp_path)
    assert (tmp_path / '.lock').read_text() == ''
    assert lock_work_dir(tmp_path)


def test_a_fork_does_not_inherit_the_lock(tmp_path):
    lock_work_dir(tmp_path)
    pid = os.fork()
    if pid == 0:
        try:
            lock_work_dir(tmp_path)
        except ConfigError:
            os._exit(3)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
