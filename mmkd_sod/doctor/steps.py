"""Section on training steps: time, memory and the duration of the run."""

import math
import resource
import statistics
import sys

import torch
from mmengine.runner import IterBasedTrainLoop

from .context import Context
from .report import Section, duration, number

NAME, TITLE, NEEDS = 'steps', 'Training steps', ('losses',)


def peak_memory(device: str) -> float:
    """Return the peak memory in bytes: allocations on a GPU, else resident set of the process."""
    if device.startswith('cuda'):
        return float(torch.cuda.max_memory_allocated())
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1.0 if sys.platform == 'darwin' else 1024.0
    )


def validations(context: Context) -> int:
    """Return the number of validations of the run."""
    loop = context.runner.train_loop
    interval = getattr(loop, 'val_interval', 0)
    if context.val_set is None or not interval:
        return 0
    length = loop.max_iters if isinstance(loop, IterBasedTrainLoop) else loop.max_epochs
    return length // interval


def examine(context: Context, section: Section) -> None:
    """Report the steps of the trial run and extrapolate the duration of the run."""
    waited, worked, logged = context.trial.waited, context.trial.worked, context.trial.logged
    wait, work = statistics.median(waited), statistics.median(worked)
    steps = context.runner.train_loop.max_iters
    memory = peak_memory(context.device)
    training = (wait + work) * steps
    section.add(
        f'step: {duration(wait + work)}, including {duration(wait)} waiting for data '
        f'(median of {len(worked)} steps)'
    )
    where = 'on the GPU' if context.device.startswith('cuda') else 'of this process'
    section.add(f'peak memory {where}: {memory / 2**20:,.0f} MiB')
    section.data.update(
        step_seconds=wait + work,
        data_seconds=wait,
        timed_steps=len(worked),
        peak_memory_bytes=memory,
        steps=steps,
        train_seconds=training,
    )
    line = f'{steps:,} steps take about {duration(training)}'
    seconds = context.image_seconds
    if seconds and validations(context):
        count = validations(context)
        validating = seconds * len(context.val_set) * count
        section.data.update(validations=count, val_seconds=validating)
        line += (
            f', {count} validations of {len(context.val_set):,} images about '
            f'{duration(validating)}; together {duration(training + validating)}'
        )
    section.data['eta_seconds'] = training + section.data.get('val_seconds', 0.0)
    section.add(line + ', on this machine at its current load')
    if wait > work:
        section.warn(
            f'a step waits longer for data ({duration(wait)}) than it computes '
            f'({duration(work)}); increase train_dataloader.num_workers, or make the '
            'pipeline faster'
        )
    values = {
        name: float(value)
        for name, value in logged.items()
        if isinstance(value, (int, float))
        or (isinstance(value, torch.Tensor) and value.numel() == 1)
    }
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        section.error(
            f'{", ".join(wrong)}: NaN or infinite in the last of these steps; lower '
            'the learning rate, or clip gradients'
        )
    section.data['loss_after'] = values.get('loss')
    section.add(f'loss of the last of these steps: {number(values.get("loss", float("nan")))}')
