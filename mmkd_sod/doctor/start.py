"""Section on the start of the run: Runner, hooks, optimizer and schedules."""

import copy

from mmengine.runner import Runner

from .context import Context
from .report import Section, number

NAME, TITLE, NEEDS = 'start', 'Start of the run', ('weights_loaded', 'batch')

# Calls of hooks before the first step, in order.
_BEFORE = ('before_run', 'before_train', 'before_train_epoch')


def _settings(context: Context) -> dict:
    """Return the arguments of the Runner that come from the config."""
    cfg = context.cfg
    settings = {
        key: copy.deepcopy(cfg.get(key))
        for key in (
            'train_cfg',
            'optim_wrapper',
            'param_scheduler',
            'auto_scale_lr',
            'default_hooks',
            'custom_hooks',
            'env_cfg',
            'log_processor',
            'randomness',
        )
    }
    settings = {key: value for key, value in settings.items() if value is not None}
    visualizer = copy.deepcopy(cfg.get('visualizer'))
    if visualizer is not None:
        # Without backends nothing is sent or written.
        visualizer.pop('vis_backends', None)
    return dict(
        settings,
        visualizer=visualizer,
        default_scope=cfg.get('default_scope', 'mmengine'),
        log_level='WARNING',
        cfg=cfg,
    )


def examine(context: Context, section: Section) -> None:
    """Build the Runner and call its hooks up to the first step."""
    runner = Runner(
        model=context.model,
        work_dir=context.work_dir,
        train_dataloader=context.train_loader,
        **_settings(context),
    )
    loop = runner.train_loop
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if runner.auto_scale_lr:
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
    if runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    context.model.train()
    runner.optim_wrapper.initialize_count_status(context.model, 0, loop.max_iters)
    for moment in _BEFORE:
        runner.call_hook(moment)
    runner.call_hook('before_train_iter', batch_idx=0, data_batch=context.batch)
    context.runner = runner
    rates = runner.optim_wrapper.get_lr()
    rates = rates if isinstance(rates, dict) else dict(lr=rates)
    rates = {name: values[-1] for name, values in rates.items() if 'lr' in name and values}
    section.data.update(
        max_iters=loop.max_iters,
        max_epochs=getattr(loop, 'max_epochs', None),
        lr=rates,
        hooks=[type(hook).__name__ for hook in runner.hooks],
    )
    length = f'{loop.max_iters:,} steps'
    if getattr(loop, 'max_epochs', None) and loop.max_iters != loop.max_epochs:
        length = f'{loop.max_epochs} epochs, {length}'
    section.add(
        f'{length}; first ' + ', '.join(f'{name} {number(value)}' for name, value in rates.items())
    )
    section.add('hooks: ' + ', '.join(section.data['hooks']))
