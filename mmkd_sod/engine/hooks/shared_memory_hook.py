"""Hook that refuses data loaders for whose batches the shared memory is too small."""

import os
import random

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HOOKS

SHARED_MEMORY = '/dev/shm'
_PAGE = 4096
# With so much free nothing is measured: no batch of images comes near.
PLENTY = 16 * 2**30
# The first sample may be larger than most.
TOLERANCE = 0.75


def shared_bytes(sample) -> int:
    """Return the shared memory that the tensors of a sample take on their way from a worker."""
    if isinstance(sample, Tensor):
        return -(-sample.numel() * sample.element_size() // _PAGE) * _PAGE
    if isinstance(sample, BaseDataElement):
        return sum(shared_bytes(value) for value in sample.all_values())
    if isinstance(sample, dict):
        return sum(shared_bytes(value) for value in sample.values())
    if isinstance(sample, (list, tuple)):
        return sum(shared_bytes(value) for value in sample)
    return 0


def memory_fault(
    free: int, sample: int, batch_size: int, workers: int, prefetch: int, processes: int
) -> str | None:
    """Return why the shared memory is too small, or None.

    Args:
        free (int): Free shared memory in bytes.
        sample (int): Shared memory of a sample in bytes.
        batch_size (int): Samples per batch.
        workers (int): Workers of a process.
        prefetch (int): Batches that each worker prepares in advance.
        processes (int): Processes of the run on this machine.
    """
    needed = sample * batch_size * workers * prefetch * processes
    if free >= TOLERANCE * needed:
        return None
    each = f' in {processes} processes' if processes > 1 else ''
    return (
        f'{workers} workers with {prefetch} batches of {batch_size} samples{each} need '
        f'{needed / 2**20:.1f} MiB of shared memory, and {SHARED_MEMORY} has {free / 2**20:.1f} '
        f'MiB free, with which the run would hang; start the container with '
        f'--shm-size={max(1, -(-2 * needed // 2**30))}g'
    )


def free_shared_memory() -> int | None:
    """Return the free shared memory in bytes, or None where it is not a folder."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):
        return None
    return found.f_bavail * found.f_frsize


def _first_sample(dataset):
    """Return the first sample, or None; the random draws of the run stay as they are."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            return dataset[0]
    except Exception:  # The run itself reports it, with its place in the data.
        return None
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def loader_fault(loader: DataLoader, name: str, processes: int = 1) -> str | None:
    """Return why the shared memory is too small for a loader, or None.

    Args:
        loader (DataLoader): The loader, of which nothing was read yet.
        name (str): Its key in the config.
        processes (int): Processes of the run on this machine.
    """
    free = free_shared_memory()
    if not loader.num_workers or free is None or free >= PLENTY:
        return None
    # Batches differ in size: a batch sampler gives the size of the first one only.
    batch_size = getattr(loader.batch_sampler, 'batch_size', None) or loader.batch_size or 1
    sample = shared_bytes(_first_sample(loader.dataset))
    prefetch = loader.prefetch_factor or 2
    fault = memory_fault(free, sample, batch_size, loader.num_workers, prefetch, processes)
    return None if fault is None else f'{name}: {fault}, or lower {name}.num_workers'


@HOOKS.register_module()
class SharedMemoryHook(Hook):
    """Refuses a data loader whose workers would fill the shared memory, in which the run hangs.

    Worker processes hand batches over in ``/dev/shm``, of which a container has 64 MiB by default;
    a batch that does not fit is lost, and the run waits for it for ever. The expected size is that
    of the first sample, times the batches that workers prepare in advance. torch's
    ``file_system`` sharing strategy uses the same memory.

    ``tools/train.py`` and ``tools/test.py`` add this hook to every config.

    Raises:
        ConfigError: Before the first batch of a loader with workers.
    """

    def _check(self, runner, loop, name: str) -> None:
        processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1)) if runner.distributed else 1
        fault = loader_fault(loop.dataloader, name, processes)
        if fault is not None:
            raise ConfigError(fault)

    def before_train(self, runner) -> None:
        """Check the loader of the training."""
        self._check(runner, runner.train_loop, 'train_dataloader')

    def before_val(self, runner) -> None:
        """Check the loader of the validation."""
        self._check(runner, runner.val_loop, 'val_dataloader')

    def before_test(self, runner) -> None:
        """Check the loader of the test."""
        self._check(runner, runner.test_loop, 'test_dataloader')
