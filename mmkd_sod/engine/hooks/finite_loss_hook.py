"""Hook that detects NaN or infinite losses and gradients before they change the weights."""

from typing import NoReturn

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import CheckpointHook, Hook
from torch import Tensor

from mmkd_sod.engine.gradients import (
    GradientGuard,
    collapsed_loss_scale,
    plain_model,
    terms_with_bad_gradients,
)
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
    """Stops training at, or skips, a step with a NaN or infinite loss term or gradient.

    Loss terms are checked on all ranks before the weights are updated; a bad term on one rank stops
    or skips the step on all ranks. A skipped step changes neither weights nor optimizer state, but
    the running statistics of batch norm include its images.

    Gradients that are NaN or infinite although all losses are finite are set to zero before the
    update, and the run stops with the next check of the losses or before the next checkpoint. To
    name the loss terms, the step is then computed again, once per term. In mixed precision the
    loss scaler skips such steps.

    ``tools/train.py`` adds this hook to every config; for other tools add it to ``custom_hooks``.

    Args:
        action (str): ``'stop'``, or ``'skip'``, which costs a host synchronisation per step.
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
        # Whether the gradient of the last step was bad, in mode 'skip'.
        self._gradient_skipped = False
        self._batch = self._previous = None

    def before_train(self, runner) -> None:
        """Start to check the losses and gradients of every step."""
        model = plain_model(runner)
        parse, update = model.parse_losses, runner.optim_wrapper.update_params

        def parse_losses(losses: dict):
            total, terms = parse(losses)
            self._check(runner, terms)
            return total, terms

        def update_params(*args, **kwargs):
            if self._skip_update:
                self._skip_update = False
                return None
            return update(*args, **kwargs)

        self._wrapped = (model, runner.optim_wrapper)
        model.parse_losses, runner.optim_wrapper.update_params = parse_losses, update_params
        self._guard = GradientGuard(
            runner.optim_wrapper,
            (lambda: self._skip_gradient(runner)) if self.action == 'skip' else None,
        )
        self._savers = [
            hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and not hook.by_epoch
        ]

    def after_train(self, runner) -> None:
        """Restore the methods of model and optimizer wrapper."""
        model, optim_wrapper = self._wrapped
        del model.parse_losses, optim_wrapper.update_params
        self._guard.remove()

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        """Keep the batch, whose images an error names."""
        self._previous, self._batch = self._batch, data_batch

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Check the gradients before a checkpoint by iterations, and at the end."""
        if self.is_last_train_iter(runner) or any(
            self.every_n_train_iters(runner, hook.interval, hook.save_begin)
            for hook in self._savers
        ):
            self._check_gradients(runner, runner.iter + 1)

    def after_train_epoch(self, runner) -> None:
        """Check the gradients before a checkpoint by epochs."""
        self._check_gradients(runner, runner.iter)

    def _check(self, runner, terms: dict[str, Tensor]) -> None:
        values = {name: value for name, value in terms.items() if 'loss' in name}
        bad = ~torch.stack([value.detach().float() for value in values.values()]).isfinite()
        gradient = bad.new_zeros(()) if self._guard.found is None else self._guard.found
        counts = torch.stack([bad.any(), gradient.to(bad.device)]).float()
        all_reduce(counts, 'sum')
        loss_is_bad, gradient_was_bad = counts.tolist()
        if gradient_was_bad:
            self._stop_for_gradient(runner, runner.iter, self._previous)
        self._guard.forget()
        if not loss_is_bad:
            self._skipped = self._skipped if self._gradient_skipped else 0
            self._gradient_skipped = False
            return
        names = [
            name
            for name, found in zip(values, bad.tolist(), strict=True)
            if found and name != 'loss'
        ]
        terms_named = ', '.join(names) or 'the loss of another rank'
        message = f'{terms_named} is NaN or infinite {self._place(runner.iter + 1, self._batch)}'
        if self._skips(runner, message):
            self._skip_update = True
            return
        bad_weights = non_finite(plain_model(runner).named_parameters())
        if bad_weights:
            message += f'; weights were NaN or infinite before this step, first {bad_weights[0]}'
        self._stop(runner, message)

    def _skips(self, runner, message: str) -> bool:
        """Count a bad step; return whether it is skipped."""
        self._skipped += 1
        if self.action == 'stop' or self._skipped > self.max_skipped:
            return False
        runner.logger.warning(f'{message}; the step is skipped')
        return True

    def _skip_gradient(self, runner) -> None:
        place = self._place(runner.iter + 1, self._batch)
        if not self._skips(runner, f'the gradient is NaN or infinite {place}'):
            self._stop_for_gradient(runner, runner.iter + 1, self._batch)
        self._gradient_skipped = True

    def _check_gradients(self, runner, step: int) -> None:
        """Stop if a gradient since the last check was bad; the same on all ranks."""
        if self._guard.found is not None:
            count = self._guard.found.float()
            all_reduce(count, 'sum')
            if count:
                self._stop_for_gradient(runner, step, self._batch)
            self._guard.forget()
        scale = collapsed_loss_scale(runner.optim_wrapper)
        if scale is not None:
            self._stop(
                runner,
                f'the loss scale of mixed precision fell to {scale:g} at step {step}, since the '
                'gradients of all recent steps were NaN or infinite, so that these were skipped',
            )

    def _stop_for_gradient(self, runner, step: int, batch) -> NoReturn:
        place = self._place(step, batch)
        try:
            found = terms_with_bad_gradients(runner, batch)
        except Exception as error:  # The gradient is the news, not what the second pass meets.
            runner.logger.warning(f'the loss terms of step {step} are unknown: {error!r}')
            found = {}
        terms = ', '.join(f'{name} (value {value:.3g})' for name, value in found.items())
        self._stop(
            runner,
            f'the gradient of {terms or "the sum of all loss terms"} is NaN or infinite {place}, '
            'although the losses are finite; it changed no weight',
        )

    def _stop(self, runner, message: str) -> NoReturn:
        weights = {
            name.removeprefix('architecture.') for name, _ in plain_model(runner).named_parameters()
        }
        good = last_finite_checkpoint(runner.work_dir, weights)
        last = (
            'there is no checkpoint yet'
            if good is None
            else f'the last checkpoint with finite weights is {good}'
        )
        raise TrainingError(
            f'{message}; {last}; inspect these images, lower the learning rate or the weight of '
            "that loss, or set action='skip' in FiniteLossHook"
        )

    @staticmethod
    def _place(step: int, batch) -> str:
        images = ', '.join(image_paths(batch)) or 'unknown'
        return f'at step {step} (images: {images})'
