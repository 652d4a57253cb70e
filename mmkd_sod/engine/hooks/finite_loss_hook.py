"""Hook that detects NaN or infinite losses before they change the weights."""

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor

from mmkd_sod.errors import ConfigError, TrainingError
from mmkd_sod.registry import HOOKS
from mmkd_sod.utils.checkpoint_files import last_finite_checkpoint
from mmkd_sod.utils.finite import non_finite


def image_paths(data_batch) -> list[str]:
    """Return the image paths of a batch's samples, as far as they are known."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    return [
        str(sample.get('img_path'))
        for sample in samples or []
        if hasattr(sample, 'get') and sample.get('img_path')
    ]


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops training at, or skips, a step with a NaN or infinite loss term.

    The terms are checked on all ranks before the weights are updated; a bad term on one rank stops
    or skips the step on all ranks. A skipped step changes neither weights nor optimizer state, but
    the running statistics of batch norm include its images.

    ``tools/train.py`` adds this hook to every config; for other tools add it to ``custom_hooks``.

    Args:
        action (str): ``'stop'`` or ``'skip'``.
        max_skipped (int): Maximum number of consecutive skipped steps; one more stops training.

    Raises:
        ConfigError: ``action`` or ``max_skipped`` is out of range.
        TrainingError: In training; names the term, the step, the images of the batch and the latest
            checkpoint with finite weights.
    """

    priority = 'VERY_HIGH'

    def __init__(self, action: str = 'stop', max_skipped: int = 10) -> None:
        if action not in ('stop', 'skip') or max_skipped < 1:
            raise ConfigError(
                f'FiniteLossHook: got action={action!r}, max_skipped={max_skipped}; '
                "action must be 'stop' or 'skip' and max_skipped at least 1; change "
                'the hook in custom_hooks'
            )
        self.action = action
        self.max_skipped = max_skipped
        self._skipped = 0
        self._skip_update = False
        self._batch = None

    def before_train(self, runner) -> None:
        """Start to check the loss terms of every step."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        parse, update = model.parse_losses, runner.optim_wrapper.update_params

        def parse_losses(losses: dict):
            total, terms = parse(losses)
            self._check(runner, model, terms)
            return total, terms

        def update_params(*args, **kwargs):
            if self._skip_update:
                self._skip_update = False
                return None
            return update(*args, **kwargs)

        self._wrapped = (model, runner.optim_wrapper)
        model.parse_losses, runner.optim_wrapper.update_params = parse_losses, update_params

    def after_train(self, runner) -> None:
        """Restore the methods of model and optimizer wrapper."""
        model, optim_wrapper = self._wrapped
        del model.parse_losses, optim_wrapper.update_params

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Keep the batch, whose images an error names."""
        self._batch = data_batch

    def _check(self, runner, model, terms: dict[str, Tensor]) -> None:
        values = {name: value for name, value in terms.items() if 'loss' in name}
        bad = ~torch.stack([value.detach().float() for value in values.values()]).isfinite()
        count = bad.any().float()
        all_reduce(count, 'sum')
        if count == 0:
            self._skipped = 0
            return
        names = [
            name
            for name, found in zip(values, bad.tolist(), strict=True)
            if found and name != 'loss'
        ]
        message = self._message(runner, names)
        self._skipped += 1
        if self.action == 'skip' and self._skipped <= self.max_skipped:
            self._skip_update = True
            runner.logger.warning(f'{message}; the step is skipped')
            return
        bad_weights = non_finite(model.named_parameters())
        if bad_weights:
            message += f'; weights were NaN or infinite before this step, first {bad_weights[0]}'
        weights = {name.removeprefix('architecture.') for name, _ in model.named_parameters()}
        good = last_finite_checkpoint(runner.work_dir, weights)
        last = (
            'there is no checkpoint yet'
            if good is None
            else f'the last checkpoint with finite weights is {good}'
        )
        raise TrainingError(
            f'{message}; {last}; inspect these images, lower the learning rate, or '
            "set action='skip' in FiniteLossHook"
        )

    def _message(self, runner, names: list[str]) -> str:
        terms = ', '.join(names) or 'the loss of another rank'
        images = ', '.join(image_paths(self._batch)) or 'unknown'
        return f'{terms} is NaN or infinite at step {runner.iter + 1} (images: {images})'
