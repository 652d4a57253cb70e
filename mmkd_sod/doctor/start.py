"""Section on the start of the run: hooks, optimizer and schedules at the first step."""

from mmengine.runner import EpochBasedTrainLoop

from .context import Context
from .report import Section, number

NAME, TITLE, NEEDS = 'start', 'Start of the run', ('weights_loaded', 'batch')


def examine(context: Context, section: Section) -> None:
    """Describe the run that has reached its first step."""
    runner = context.runner
    loop = runner.train_loop
    rates = runner.optim_wrapper.get_lr()
    rates = rates if isinstance(rates, dict) else dict(lr=rates)
    rates = {name: values[-1] for name, values in rates.items() if 'lr' in name and values}
    epochs = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else None
    hooks = [type(hook).__name__ for hook in runner.hooks if hook is not context.trial]
    section.data.update(max_iters=loop.max_iters, max_epochs=epochs, lr=rates, hooks=hooks)
    length = f'{loop.max_iters:,} steps'
    if epochs is not None:
        length = f'{epochs} epochs, {length}'
    section.add(
        f'{length}; first ' + ', '.join(f'{name} {number(value)}' for name, value in rates.items())
    )
    section.add('hooks: ' + ', '.join(hooks))
