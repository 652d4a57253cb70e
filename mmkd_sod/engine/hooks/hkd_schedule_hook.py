"""Tells HKDDistiller which epoch runs."""
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop

from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HOOKS


@HOOKS.register_module()
class HKDScheduleHook(Hook):
    """Drives the stages and temperatures of every :class:`HKDDistiller` of a model.

    The epoch is the runner's own, so a resumed run goes on where it was. Distillers inside of a
    ``CompositeDistiller`` are found too.

    Args:
        iters_per_epoch (int, optional): Length of an epoch in steps; needed where the training loop
            counts steps only (``IterBasedTrainLoop``).

    Raises:
        ConfigError: The model has no ``HKDDistiller``, or the loop counts no epochs and
            ``iters_per_epoch`` is not set.
    """

    def __init__(self, iters_per_epoch: int | None = None) -> None:
        if iters_per_epoch is not None and iters_per_epoch < 1:
            raise ConfigError(f'HKDScheduleHook: iters_per_epoch={iters_per_epoch} must be 1 or '
                              'more')
        self.iters_per_epoch = iters_per_epoch

    def before_train(self, runner) -> None:
        """Find the distillers."""
        from mmkd_sod.models.distillers import HKDDistiller
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.distillers = [m for m in model.modules() if isinstance(m, HKDDistiller)]
        if not self.distillers:
            raise ConfigError(f'HKDScheduleHook: {type(model).__name__} has no HKDDistiller; '
                              'remove the hook from custom_hooks')
        if self.iters_per_epoch is None and not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise ConfigError(f'HKDScheduleHook: {type(runner.train_loop).__name__} counts no '
                              'epochs; set iters_per_epoch')

    def before_train_epoch(self, runner) -> None:
        """Pass the runner's epoch on."""
        if self.iters_per_epoch is None:
            self._tell(runner.epoch)

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Count epochs from steps."""
        if self.iters_per_epoch is not None:
            self._tell(runner.iter // self.iters_per_epoch)

    def _tell(self, epoch: int) -> None:
        for distiller in self.distillers:
            distiller.set_epoch(epoch)
