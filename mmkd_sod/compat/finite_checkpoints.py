"""mmengine replaces a good checkpoint by one with NaN or infinite weights.

A gradient that overflows under finite losses spoils the weights; what is saved next replaces the
last good checkpoint where ``max_keep_ckpts`` or ``save_best`` rotates. Before anything is
written or removed, weights, their moving averages (``EMAHook``) and the optimizer's state are
checked, and the run stops. Each rank checks its own copy, so that equal copies stop together.
"""

import functools
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from mmkd_sod.errors import TrainingError
from mmkd_sod.utils.checkpoint_files import last_finite_checkpoint
from mmkd_sod.utils.finite import non_finite

from .entry import Entry

# Other buffers may hold infinity on purpose, such as masks of attention.
_STATISTICS = ('running_mean', 'running_var')


def _saved(module: nn.Module) -> dict[str, Tensor]:
    """Return what is saved of a module and has to be finite."""
    return {
        name: value
        for name, value in module.state_dict(keep_vars=True).items()
        if isinstance(value, nn.Parameter) or name.endswith(_STATISTICS)
    }


def _optimizer_state(optim_wrapper) -> Iterator[tuple[str, Tensor]]:
    from mmengine.optim import OptimWrapperDict

    wrappers: dict[str, Any] = (
        optim_wrapper.optim_wrappers
        if isinstance(optim_wrapper, OptimWrapperDict)
        else {'': optim_wrapper}
    )
    for title, wrapper in wrappers.items():
        where = f' of {title}' if title else ''
        for number, state in enumerate(wrapper.optimizer.state.values()):
            for name, value in state.items():
                if isinstance(value, Tensor):
                    yield f"the optimizer's {name} of parameter {number}{where}", value


def refuse_non_finite(runner, filename: str, save_optimizer: bool = True) -> None:
    """Stop a run whose state is NaN or infinite, before it is saved.

    Args:
        runner (Runner): The run.
        filename (str): The checkpoint that is about to be written.
        save_optimizer (bool): Whether the optimizer's state is written as well.

    Raises:
        TrainingError: The message names the first bad tensor and the last good checkpoint.
    """
    from mmengine.hooks import EMAHook
    from mmengine.model import is_model_wrapper

    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    weights = _saved(model)
    state = [(f'the weight {name}', value) for name, value in weights.items()]
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            averages = _saved(hook.ema_model.module)
            state += [(f'the moving average of {name}', value) for name, value in averages.items()]
    if save_optimizer:
        state += _optimizer_state(runner.optim_wrapper)
    bad = non_finite(state)
    if not bad:
        return
    good = last_finite_checkpoint(runner.work_dir, weights)
    last = (
        'there is no checkpoint with finite weights'
        if good is None
        else f'{good}, the last checkpoint with finite weights, is kept'
    )
    raise TrainingError(
        f"'{filename}' is not written: {bad[0]} and {len(bad) - 1} more of {len(state)} tensors "
        f'are NaN or infinite; {last}; lower the learning rate or set optim_wrapper.clip_grad'
    )


def check_before_saving() -> None:
    """Wrap ``save_checkpoint`` of both runners."""
    from mmengine.runner import FlexibleRunner, Runner

    def checked(original):
        @functools.wraps(original)
        def save_checkpoint(
            self, out_dir, filename, file_client_args=None, save_optimizer=True, *args, **kwargs
        ):
            refuse_non_finite(self, filename, save_optimizer)
            return original(
                self, out_dir, filename, file_client_args, save_optimizer, *args, **kwargs
            )

        return save_checkpoint

    for runner in (Runner, FlexibleRunner):
        runner.save_checkpoint = checked(runner.save_checkpoint)


_PARAMETERS = (
    'self',
    'out_dir',
    'filename',
    'file_client_args',
    'save_optimizer',
    'save_param_scheduler',
    'meta',
    'by_epoch',
    'backend_args',
)

ENTRY = Entry(
    name='finite_checkpoints',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={
        'mmengine.runner:Runner.save_checkpoint': _PARAMETERS,
        'mmengine.runner:FlexibleRunner.save_checkpoint': _PARAMETERS,
    },
    why='mmengine replaces a good checkpoint by one with NaN or infinite weights',
    until='an mmengine that checks the weights before it saves them',
    patch=check_before_saving,
)
