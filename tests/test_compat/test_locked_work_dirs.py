"""Any program's training locks its folder."""

import os

import pytest

from mmkd_sod.errors import ConfigError
from mmkd_sod.utils.run_lock import lock_work_dir
from tests.methods import runner


def test_a_training_of_any_program_is_refused_beside_another(tmp_path):
    run = runner('crosskd', tmp_path, steps=1)
    (is_ready, ready), (leave, end) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        lock_work_dir(run.work_dir)
        os.write(ready, b'1')
        os.read(leave, 1)
        os._exit(0)
    os.read(is_ready, 1)
    with pytest.raises(ConfigError, match=f'in use by the training of process {pid} on'):
        run.train()
    assert run.iter == 0
    os.write(end, b'1')
    os.waitpid(pid, 0)
    run.train()
    assert run.iter > 0
    for descriptor in (is_ready, ready, leave, end):
        os.close(descriptor)
    # Released at the end, for other processes too.
    assert lock_work_dir(run.work_dir)
