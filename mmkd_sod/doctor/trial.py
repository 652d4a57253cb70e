"""The trial run of the doctor: the training of a config, ended after a few steps."""

import copy
import time
from collections.abc import Callable
from contextlib import suppress

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner

from mmkd_sod.engine.build_runner import build_runner

# Seconds after which no further step starts; at least one step after the first is timed.
BUDGET = 15.0
# Backends of visualizers that write to the work directory alone; others may send to a server.
_LOCAL = ('LocalVisBackend', 'TensorboardVisBackend')


def _type_name(cfg) -> str:
    kind = cfg.get('type')
    return getattr(kind, '__name__', str(kind)).split('.')[-1]


def build_trial_runner(cfg: Config, work_dir: str) -> Runner:
    """Build the Runner of a config as training does, but write to ``work_dir`` only.

    A run that would resume starts anew. Visualizer backends that may send data are left out.

    Args:
        cfg (Config): The config; not changed.
        work_dir (str): Temporary folder.
    """
    cfg = copy.deepcopy(cfg)
    cfg.work_dir, cfg.launcher, cfg.log_level, cfg.resume = work_dir, 'none', 'WARNING', False
    cfg.randomness = dict(cfg.get('randomness') or {})
    if cfg.randomness.get('seed') is None:
        cfg.randomness['seed'] = 0
    if not cfg.get('train_dataloader'):
        # The section on the data says so; the Runner would show the whole config.
        for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
            cfg.pop(key, None)
    for hook in (cfg.get('default_hooks') or {}).values():
        if isinstance(hook, dict):
            hook.pop('out_dir', None)
    backends = (cfg.get('visualizer') or {}).get('vis_backends')
    if backends:
        cfg.visualizer.vis_backends = [item for item in backends if _type_name(item) in _LOCAL]
    return build_runner(cfg)


def synchronise(device: str) -> None:
    """Wait until the GPU has finished."""
    if device.startswith('cuda'):
        torch.cuda.synchronize()


def _steps_before_validation(loop: BaseLoop) -> int:
    """Return the number of steps that a training loop makes before it does anything else."""
    if isinstance(loop, IterBasedTrainLoop):
        return min(loop.max_iters, loop.val_interval)
    return len(loop.dataloader)


class _Done(Exception):
    """Ends the trial run."""


class Trial(Hook):
    """Starts the training of a Runner, hands over its first batch, and times a few steps.

    All hooks of the config run. The training ends before the first validation and the end of the
    first epoch.

    Args:
        runner (Runner): The Runner of ``build_trial_runner``.
        steps (int): Maximum number of steps to time; the first, which includes one-time set-up,
            is timed only if there is no other.
        device (str): Device of the model.
        on_first_batch (Callable): Called with the first batch, after all hooks of its step; the
            training ends if it returns False.

    Attributes:
        waited (list[float]): Seconds from the end of a step to the start of the next one's
            computation, for loading data.
        worked (list[float]): Seconds of computation of each of these steps.
        logged (dict): Logged values of the last step.
    """

    priority = 'LOWEST'

    def __init__(
        self, runner: Runner, steps: int, device: str, on_first_batch: Callable[[dict], bool]
    ) -> None:
        self.waited: list[float] = []
        self.worked: list[float] = []
        self.logged: dict = {}
        self._runner = runner
        self._steps = steps
        self._device = device
        self._on_first_batch = on_first_batch
        self._done = 0
        self._limit = 0
        self._ended = self._loaded = self._began = 0.0

    def run(self) -> None:
        """Train; errors of the training are raised."""
        self._runner.register_hook(self)
        with suppress(_Done):
            self._runner.train()

    def before_train(self, runner) -> None:
        """Start the clock."""
        self._limit = min(self._steps + 1, _steps_before_validation(runner.train_loop))
        self._ended = time.perf_counter()

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Hand over the first batch, and note when the data were there."""
        self._loaded = time.perf_counter()
        waited = self._loaded - self._ended
        if not self._done:
            if not self._on_first_batch(data_batch):
                raise _Done
            if self._device.startswith('cuda'):
                torch.cuda.reset_peak_memory_stats()
            self._loaded = self._began = time.perf_counter()
        self.waited.append(waited)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Note the time of the step; end the run after the last."""
        synchronise(self._device)
        self._ended = time.perf_counter()
        self.worked.append(self._ended - self._loaded)
        self.logged = outputs or {}
        self._done += 1
        if self._done == 2:
            del self.waited[0], self.worked[0]
        late = self._ended - self._began > BUDGET and self._done > 1
        if self._done >= self._limit or late:
            raise _Done
