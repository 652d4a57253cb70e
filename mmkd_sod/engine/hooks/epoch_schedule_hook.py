"""Telling modules which epoch runs."""
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HOOKS


@HOOKS.register_module()
class EpochScheduleHook(Hook):
    """Call ``set_epoch(epoch)`` of every part of the model that has it, when an epoch begins.

    It drives what changes with the epoch inside a model, such as the window of
    :class:`mmkd_sod.models.losses.BoundaryDiceLoss`. The epoch is the runner's, counted from 0, so
    a resumed run keeps its place.

    Args:
        iters_per_epoch (int, optional): Length of an epoch in a run that counts iterations. An
            ``EpochBasedTrainLoop`` needs none.

    Raises:
        ConfigError: The run counts iterations and ``iters_per_epoch`` is not given.
    """

    def __init__(self, iters_per_epoch: int | None = None) -> None:
        self.iters_per_epoch = iters_per_epoch
        self._told: int | None = None

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
        if isinstance(runner.train_loop, IterBasedTrainLoop) and self.iters_per_epoch is None:
            raise ConfigError('EpochScheduleHook: this run counts iterations and has no epochs; '
                              'set iters_per_epoch')

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Tell the epoch when it is another than before."""
        by_epoch = self.iters_per_epoch is None
        self._tell(runner, runner.epoch if by_epoch else runner.iter // self.iters_per_epoch)
