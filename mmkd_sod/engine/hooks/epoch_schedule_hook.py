"""Hook that passes epoch and iteration to the modules of a model."""

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HOOKS


@HOOKS.register_module()
class EpochScheduleHook(Hook):
    """Calls ``set_epoch(epoch)`` of all modules that have it when an epoch starts.

    For schedules inside a model, such as the window of
    ``mmkd_sod.models.losses.BoundaryDiceLoss`` or the weights of
    ``mmkd_sod.models.distillers.CompositeDistiller``. The epoch is the runner's, counted from
    0, also in a resumed run. Modules with ``set_iter(iteration)`` get every iteration, counted from
    0 over the whole run.

    Args:
        iters_per_epoch (int, optional): Length of an epoch in an iteration-based run. Not needed in
            an epoch-based run or if no module needs epochs.

    Raises:
        ConfigError: In an iteration-based run a module needs epochs (it has ``set_epoch`` and not
            ``counts_epochs = False``), and ``iters_per_epoch`` is not set.
    """

    def __init__(self, iters_per_epoch: int | None = None) -> None:
        self.iters_per_epoch = iters_per_epoch
        self._epoch: int | None = None
        self._per_iter: list = []

    def _set_epoch(self, runner, epoch: int) -> None:
        if epoch == self._epoch:
            return
        self._epoch = epoch
        for module in runner.model.modules():
            if hasattr(module, 'set_epoch'):
                module.set_epoch(epoch)

    def before_train(self, runner) -> None:
        """Refuse a run that needs epochs and has none."""
        self._epoch = None
        modules = list(runner.model.modules())
        self._per_iter = [module for module in modules if hasattr(module, 'set_iter')]
        only_iters = bool(self._per_iter) and not any(
            hasattr(module, 'set_epoch') and getattr(module, 'counts_epochs', True)
            for module in modules
        )
        if (
            isinstance(runner.train_loop, IterBasedTrainLoop)
            and self.iters_per_epoch is None
            and not only_iters
        ):
            raise ConfigError(
                'EpochScheduleHook: this run is iteration-based and has no epochs; '
                'the model has a schedule by epochs; set iters_per_epoch'
            )

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Pass on the epoch if it has changed, and the iteration."""
        if self.iters_per_epoch is not None:
            self._set_epoch(runner, runner.iter // self.iters_per_epoch)
        elif not isinstance(runner.train_loop, IterBasedTrainLoop):
            self._set_epoch(runner, runner.epoch)
        for module in self._per_iter:
            module.set_iter(runner.iter)
