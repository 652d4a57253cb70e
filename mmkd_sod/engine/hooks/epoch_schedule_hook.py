"""Telling modules which epoch and which iteration runs."""
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HOOKS


@HOOKS.register_module()
class EpochScheduleHook(Hook):
    """Call ``set_epoch(epoch)`` of every part of the model that has it, when an epoch begins.

    It drives what changes with the epoch inside a model, such as the window of
    :class:`mmkd_sod.models.losses.BoundaryDiceLoss` or the weights of
    :class:`mmkd_sod.models.distillers.CompositeDistiller`. The epoch is the runner's, counted from
    0, so a resumed run keeps its place. A part that has ``set_iter(iteration)`` is told every
    iteration, counted from 0 over the whole run.

    Args:
        iters_per_epoch (int, optional): Length of an epoch in a run that counts iterations. An
            ``EpochBasedTrainLoop`` needs none, nor does a model that follows iterations alone.

    Raises:
        ConfigError: The run counts iterations, a part of the model wants epochs (all do that have
            ``set_epoch`` and do not say ``counts_epochs = False``), and ``iters_per_epoch`` is not
            given.
    """

    def __init__(self, iters_per_epoch: int | None = None) -> None:
        self.iters_per_epoch = iters_per_epoch
        self._told: int | None = None
        self._per_iter: list = []

    def _tell(self, runner, epoch: int) -> None:
        if epoch == self._told:
            return
        self._told = epoch
        for module in runner.model.modules():
            if hasattr(module, 'set_epoch'):
                module.set_epoch(epoch)

    def before_train(self, runner) -> None:
        """Refuse a run whose epochs cannot be told."""
        self._told = None
        modules = list(runner.model.modules())
        self._per_iter = [module for module in modules if hasattr(module, 'set_iter')]
        only_iters = bool(self._per_iter) and not any(
            hasattr(module, 'set_epoch') and getattr(module, 'counts_epochs', True)
            for module in modules)
        if (isinstance(runner.train_loop, IterBasedTrainLoop) and self.iters_per_epoch is None
                and not only_iters):
            raise ConfigError('EpochScheduleHook: this run counts iterations and has no epochs; '
                              'set iters_per_epoch')

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Tell the epoch when it is another than before, and the iteration."""
        if self.iters_per_epoch is not None:
            self._tell(runner, runner.iter // self.iters_per_epoch)
        elif not isinstance(runner.train_loop, IterBasedTrainLoop):
            self._tell(runner, runner.epoch)
        for module in self._per_iter:
            module.set_iter(runner.iter)
