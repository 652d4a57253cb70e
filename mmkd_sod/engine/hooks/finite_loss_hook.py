"""Noticing a loss that is no number before it spoils the weights."""
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor

from mmkd_sod.errors import ConfigError, TrainingError
from mmkd_sod.registry import HOOKS
from mmkd_sod.utils.checkpoint_files import last_finite_checkpoint


def image_paths(data_batch) -> list[str]:
    """Paths of a batch's images, as far as its samples tell them."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    return [str(sample.get('img_path')) for sample in samples or []
            if hasattr(sample, 'get') and sample.get('img_path')]


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop at, or leave out, a step in which a loss term is infinite or not a number.

    The terms are looked at before the weights are changed, on all ranks: one rank's bad term stops
    all of them, or makes all of them leave the step out. A step that is left out changes no weight
    and no state of the optimizer; batch norm's running statistics have seen its images.

    ``tools/train.py`` adds this hook to every config; for other tools name it in ``custom_hooks``.

    Args:
        action (str): ``'stop'`` or ``'skip'``.
        max_skipped (int): Stop after all when more steps than this are left out in a row.

    Raises:
        ConfigError: ``action`` or ``max_skipped`` is out of range.
        TrainingError: While training: names the term, the step, the images of the batch and the
            newest checkpoint whose weights are finite.
    """

    priority = 'VERY_HIGH'

    def __init__(self, action: str = 'stop', max_skipped: int = 10) -> None:
        if action not in ('stop', 'skip') or max_skipped < 1:
            raise ConfigError(f"FiniteLossHook: action={action!r} must be 'stop' or 'skip', and "
                              f'max_skipped={max_skipped} at least 1')
        self.action = action
        self.max_skipped = max_skipped
        self._skipped = 0
        self._leave_out = False
        self._batch = None

    def before_train(self, runner) -> None:
        """Look at every step's terms from here on."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        parse, update = model.parse_losses, runner.optim_wrapper.update_params

        def parse_losses(losses: dict):
            total, terms = parse(losses)
            self._look_at(runner, model, terms)
            return total, terms

        def update_params(*args, **kwargs):
            if self._leave_out:
                self._leave_out = False
                return None
            return update(*args, **kwargs)

        self._wrapped = (model, runner.optim_wrapper)
        model.parse_losses, runner.optim_wrapper.update_params = parse_losses, update_params

    def after_train(self, runner) -> None:
        """Leave model and optimizer as they were."""
        model, optim_wrapper = self._wrapped
        del model.parse_losses, optim_wrapper.update_params

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Remember the batch, to name its images."""
        self._batch = data_batch

    def _look_at(self, runner, model, terms: dict[str, Tensor]) -> None:
        values = {name: value for name, value in terms.items() if 'loss' in name}
        bad = ~torch.stack([value.detach().float() for value in values.values()]).isfinite()
        count = bad.any().float()
        all_reduce(count, 'sum')
        if count == 0:
            self._skipped = 0
            return
        names = [name for name, found in zip(values, bad.tolist(), strict=True)
                 if found and name != 'loss']
        told = self._sentence(runner, names)
        self._skipped += 1
        if self.action == 'skip' and self._skipped <= self.max_skipped:
            self._leave_out = True
            runner.logger.warning(f'{told}; the step is left out')
            return
        spoilt = next((name for name, p in model.named_parameters() if not p.isfinite().all()),
                      None)
        if spoilt is not None:
            told += f'; the weights were not finite before, first {spoilt}'
        wanted = {name for name, _ in model.named_parameters()}
        good = last_finite_checkpoint(
            runner.work_dir, {name.removeprefix('architecture.') for name in wanted})
        remedy = 'there is no checkpoint yet' if good is None else f'the last good one is {good}'
        raise TrainingError(f"{told}; {remedy}; look at these images, lower the learning rate, or "
                            "set FiniteLossHook's action='skip'")

    def _sentence(self, runner, names: list[str]) -> str:
        what = ', '.join(names) or 'the loss of another rank'
        images = ', '.join(image_paths(self._batch)) or 'unknown'
        return f'{what} is infinite or not a number at step {runner.iter + 1} (images: {images})'
