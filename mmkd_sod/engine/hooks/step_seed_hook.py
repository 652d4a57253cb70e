"""Random numbers that follow from the step."""
import functools
import random

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from mmkd_sod.registry import HOOKS


class _SeedAfter:
    """An iterator that seeds anew once it has given the batches that a resumed run skips."""

    def __init__(self, iterator, skipped: int, seed) -> None:
        self.iterator = iterator
        self.skipped = skipped
        self.seed = seed

    def __iter__(self):
        return self

    def __next__(self):
        if self.skipped == 0:
            self.seed()
        self.skipped -= 1
        return next(self.iterator)

    def skip_iter(self, num_iters: int) -> None:
        """Skip batches, for onedl-mmengine, which asks for it in one call.

        They are loaded and dropped, as mmengine has it. The fork's own way goes on in the order of
        images without loading any, and the draws of worker processes would start from the first.
        """
        for _ in range(num_iters):
            next(self)


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed Python, numpy and torch at every step from the run's seed, the rank and the step.

    A resumed run then draws what it would have drawn without the stop: the augmentation of images,
    dropout, the random side of a batch; and a validation in between changes nothing. Nothing has to
    be kept in checkpoints. Runs on CPU end with the same weights, bit for bit; mmengine alone
    starts a resumed run with the random numbers of the first step.

    Worker processes of a run by epochs are started anew at each epoch, with a seed of that epoch:
    they, too, forget their place when a run stops, and mmengine gives them the same seed each time.
    In a run by iterations they start from the seed and skip what was seen, as mmengine does it.

    ``tools/train.py`` adds this hook to every config; for other tools name it in ``custom_hooks``.
    The run has to have a seed (``randomness``); a resumed one takes that of its checkpoint, except
    for the order of images, which mmengine settles before it reads the checkpoint.
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
        """Settle the draws of the coming step, and of the workers of the coming epoch."""
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            self._restart_workers(runner, loop.dataloader)
        elif runner.iter > 0 and not getattr(loop, 'fast_forward_on_resume', False):
            # (The option is onedl-mmengine's: such a run skips nothing.)
            seed = functools.partial(self._seed, runner, runner.iter)
            loop.dataloader_iterator = _SeedAfter(loop.dataloader_iterator, runner.iter, seed)
        self._seed(runner, runner.iter)

    def _restart_workers(self, runner, loader) -> None:
        start = loader.worker_init_fn
        if not loader.num_workers or 'seed' not in getattr(start, 'keywords', {}):
            return
        # Below 2**31, since the workers add their number to it and numpy takes 32 bits.
        seed = int(self._numbers(runner, runner.epoch)[0]) >> 1
        loader.worker_init_fn = functools.partial(
            start.func, *start.args, **{**start.keywords, 'seed': seed})
        # Workers that persist were seeded long ago; the next epoch finds none and starts them.
        loader._iterator = None

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Settle the draws of the next step, its data included."""
        self._seed(runner, runner.iter + 1)

    def after_val(self, runner) -> None:
        """Forget what validation drew."""
        self._seed(runner, runner.iter)
