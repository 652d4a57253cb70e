"""A lock is held by one process and ends with it."""

import multiprocessing
import os

from mmkd_sod.utils.locks import exclusive, try_lock


def _hold(path, ready, leave):
    with exclusive(path):
        ready.set()
        leave.wait(20)
        os._exit(1)


def test_a_killed_process_holds_nothing(tmp_path):
    context = multiprocessing.get_context('fork')
    ready, leave, path = context.Event(), context.Event(), tmp_path / 'lock'
    process = context.Process(target=_hold, args=(path, ready, leave))
    process.start()
    assert ready.wait(20)
    with open(path) as file:
        assert not try_lock(file.fileno())
    leave.set()
    process.join()
    with exclusive(path):
        assert path.is_file()
    assert not path.exists()
