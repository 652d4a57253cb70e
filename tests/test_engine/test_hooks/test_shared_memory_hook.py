"""A run that would fill the shared memory, and hang, is refused before its first batch."""

import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmkd_sod.engine.hooks import shared_memory_hook
from mmkd_sod.engine.hooks.shared_memory_hook import memory_fault, shared_bytes
from mmkd_sod.errors import ConfigError
from tests.conftest import ROOT
from tests.methods import loader, runner
from tests.runs import RANDOM_TEACHER, TINY_DISTILL, TINY_STUDENT, on

MIB = 2**20


def test_the_tensors_of_a_sample_are_counted_in_pages():
    sample = dict(
        inputs=torch.zeros(3, 64, 64, dtype=torch.uint8),
        data_samples=InstanceData(bboxes=torch.zeros(5, 4)),
        views=[torch.zeros(1), np.zeros(10**6)],
        name='a.jpg',
    )
    assert shared_bytes(sample) == 3 * 4096 + 4096 + 4096


def test_the_threshold_is_three_quarters_of_the_batches_in_flight():
    # 2 MiB x 4 samples x 2 workers x 2 batches = 32 MiB.
    case = dict(sample=2 * MIB, batch_size=4, workers=2, prefetch=2, processes=1)
    assert memory_fault(24 * MIB, **case) is None
    told = memory_fault(24 * MIB - 1, **case)
    assert 'need 32.0 MiB of shared memory, and /dev/shm has 24.0 MiB free' in told
    assert '--shm-size=1g' in told
    told = memory_fault(64 * MIB, **dict(case, processes=8))
    assert '256.0 MiB' in told and 'in 8 processes' in told
    assert memory_fault(0, **dict(case, sample=0)) is None


@pytest.mark.parametrize('free', [64 * 1024, 64 * 2**20])
def test_a_run_is_refused_before_its_first_batch(tmp_path, monkeypatch, free):
    found = SimpleNamespace(f_bavail=free // 4096, f_frsize=4096)
    monkeypatch.setattr(shared_memory_hook.os, 'statvfs', lambda path: found)
    data = dict(loader('crosskd'), num_workers=2)
    hooks = [dict(type='mmkd_sod.SharedMemoryHook')]
    run = runner('crosskd', tmp_path, steps=1, hooks=hooks, train_dataloader=data)
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    hook = next(hook for hook in run.hooks if type(hook).__name__ == 'SharedMemoryHook')
    run._train_loop = run.build_train_loop(run._train_loop)
    if free > MIB:
        hook.before_train(run)
    else:
        with pytest.raises(
            ConfigError, match='train_dataloader: 2 workers .*--shm-size=1g, or low'
        ):
            hook.before_train(run)
    drawn = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    assert drawn == (random.random(), np.random.rand(), torch.rand(()).item())


def test_the_hook_checks_the_loader_of_a_test(monkeypatch):
    seen = []
    monkeypatch.setattr(
        shared_memory_hook, 'loader_fault', lambda *args: seen.append(args) or 'too small'
    )
    run = SimpleNamespace(distributed=False, test_loop=SimpleNamespace(dataloader='loader'))
    with pytest.raises(ConfigError, match='too small'):
        shared_memory_hook.SharedMemoryHook().before_test(run)
    assert seen == [('loader', 'test_dataloader', 1)]


def in_small_memory(*command) -> subprocess.CompletedProcess:
    """Run a command where /dev/shm has 64 KiB; needs the right to mount."""
    mount = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'
    return subprocess.run(
        ['unshare', '-m', 'sh', '-c', mount, 'sh', *map(str, command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
@pytest.mark.parametrize('program', ['train', 'test', 'doctor'])
def test_a_container_with_64_kib(scenes, tmp_path, program):
    try:
        able = in_small_memory('true').returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip('needs Linux and the right to mount')
    student = program == 'test'
    options = [*on(scenes), 'train_dataloader.num_workers=2', 'test_dataloader.num_workers=2']
    options += TINY_STUDENT if student else [*TINY_DISTILL, *RANDOM_TEACHER]
    options += ['test_dataloader.batch_size=4'] if student else []
    arguments = [f'configs/demo/scenes_gfl_{"student" if student else "crosskd"}.py']
    if student:
        torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'a.pth')
        arguments.append(tmp_path / 'a.pth')
    if program != 'doctor':
        arguments += ['--work-dir', tmp_path / 'run']
    done = in_small_memory(
        sys.executable, '-W', 'ignore', f'tools/{program}.py', *arguments, '--cfg-options', *options
    )
    text = ' '.join((done.stdout + done.stderr).split())
    loader = f'{"test" if student else "train"}_dataloader'
    assert f'{loader}: 2 workers with 2 batches' in text, done.stderr[-3000:]
    assert 'and /dev/shm has 0.1 MiB free' in text and '--shm-size=1g' in text
    assert done.returncode == (1 if program == 'doctor' else 2) and 'Traceback' not in done.stderr
