"""Hook that seeds the random generators at every step."""

import functools
import random
from collections.abc import Callable

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from mmkd_sod.registry import HOOKS


class _SeedSkipped:
    """Iterator that seeds before each batch that a resumed run skips, and before the next one.

    The skipped batches are then the ones that the interrupted run used, and transforms that cache
    images end with the same ones.
    """

    def __init__(self, iterator, skipped: int, seed: Callable[[int], None]) -> None:
        self.iterator = iterator
        self.skipped = skipped
        self.seed = seed
        self.step = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.step <= self.skipped:
            self.seed(self.step)
        self.step += 1
        return next(self.iterator)

    def skip_iter(self, num_iters: int) -> None:
        """Skip batches in one call of onedl-mmengine by loading and dropping them, as in mmengine.

        onedl-mmengine itself would not load them, and the random draws of worker processes would
        start again from the first batch.
        """
        for _ in range(num_iters):
            next(self)


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds Python, numpy and torch at every step from the seed of the run, the rank and the step.

    A resumed run then has the same random draws (augmentation, dropout, image size of a batch) as
    an uninterrupted one, and validation does not change them. On a CPU the final weights are
    bit-identical. Checkpoints need no random state. Without this hook mmengine starts a resumed run
    with the draws of the first step.

    In an epoch-based run worker processes are restarted at each epoch with a seed of that epoch,
    since they lose their random state when a run stops. In an iteration-based run they start from
    the seed of the run and skip the batches already used, as in mmengine; the main process skips
    them with the numbers that they were drawn with.

    ``tools/train.py`` adds this hook to every config; for other tools add it to ``custom_hooks``.
    The seed is that of ``randomness``; a resumed run uses the seed of its checkpoint, except for
    the order of images, which mmengine sets before it reads the checkpoint.
    """

    # After all hooks that may draw random numbers at the end of a step.
    priority = 'LOWEST'

    def _numbers(self, runner, *key: int) -> np.ndarray:
        return np.random.SeedSequence([runner.seed, *key]).generate_state(2)

    def _seed(self, runner, step: int) -> None:
        first, second = self._numbers(runner, runner.rank, step)
        random.seed(int(first))
        np.random.seed(first)
        torch.manual_seed(int(first) << 32 | int(second))

    def before_train_epoch(self, runner) -> None:
        """Seed the next step and the workers of the next epoch."""
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            self._restart_workers(runner, loop.dataloader)
        elif runner.iter > 0 and not getattr(loop, 'fast_forward_on_resume', False):
            # With this option of onedl-mmengine no batches are skipped.
            seed = functools.partial(self._seed, runner)
            loop.dataloader_iterator = _SeedSkipped(loop.dataloader_iterator, runner.iter, seed)
        self._seed(runner, runner.iter)

    def _restart_workers(self, runner, loader) -> None:
        start = loader.worker_init_fn
        if not loader.num_workers or 'seed' not in getattr(start, 'keywords', {}):
            return
        # Below 2**31, since workers add their index and numpy accepts 32 bits.
        seed = int(self._numbers(runner, runner.epoch)[0]) >> 1
        loader.worker_init_fn = functools.partial(
            start.func, *start.args, **{**start.keywords, 'seed': seed}
        )
        # Makes the loader start persistent workers again, with the new seed.
        loader._iterator = None

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Seed the next step, including its data."""
        self._seed(runner, runner.iter + 1)

    def after_val(self, runner) -> None:
        """Seed again after the draws of validation."""
        self._seed(runner, runner.iter)
