"""A run that would fill the shared memory, and hang, is refused before its first batch."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmkd_sod.engine.hooks import shared_memory_hook
from mmkd_sod.engine.hooks.shared_memory_hook import memory_fault, shared_bytes
from mmkd_sod.errors import ConfigError
from tests.methods import loader, runner

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
