"""Time and memory of a training step, and when the run would end."""
import resource
import statistics
import sys
import time

import torch
from mmengine.runner import IterBasedTrainLoop

from .context import Context
from .report import Section, duration, number

NAME, TITLE, NEEDS = 'steps', 'Training steps', ('losses', )

# Seconds after which no further step begins; one step is always timed after the first.
BUDGET = 15.


def peak_memory(device: str) -> float:
    """Bytes: the largest allocation on a GPU, else the process's largest resident set."""
    if device.startswith('cuda'):
        return float(torch.cuda.max_memory_allocated())
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1. if sys.platform == 'darwin' else 1024.)


def _synchronise(device: str) -> None:
    if device.startswith('cuda'):
        torch.cuda.synchronize()


def validations(context: Context) -> int:
    """How often the run would validate."""
    loop = context.runner.train_loop
    interval = getattr(loop, 'val_interval', 0)
    if context.val_set is None or not interval:
        return 0
    length = loop.max_iters if isinstance(loop, IterBasedTrainLoop) else loop.max_epochs
    return length // interval


def _time(context: Context) -> tuple:
    """Seconds of each step's data and of its work, and the last step's logged values."""
    batches, waited, worked, logged = iter(context.train_loader), [], [], {}
    began = time.perf_counter()
    for step in range(context.steps + 1):
        start = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            batches = iter(context.train_loader)
            batch = next(batches)
        loaded = time.perf_counter()
        logged = context.model.train_step(batch, optim_wrapper=context.runner.optim_wrapper)
        _synchronise(context.device)
        done = time.perf_counter()
        # The first step pays for what is set up once.
        if step:
            waited.append(loaded - start)
            worked.append(done - loaded)
            if done - began > BUDGET:
                break
    return waited, worked, logged


def examine(context: Context, section: Section) -> None:
    """Train a few steps on the throw-away model and reckon the whole run from them."""
    # The graph of the forward pass is in the way of an honest memory figure.
    context.losses = {}
    context.comparisons = []
    context.model.train()
    if context.device.startswith('cuda'):
        torch.cuda.reset_peak_memory_stats()
    waited, worked, logged = _time(context)
    wait, work = statistics.median(waited), statistics.median(worked)
    steps = context.runner.train_loop.max_iters
    memory = peak_memory(context.device)
    training = (wait + work) * steps
    section.say(f'a step: {duration(wait + work)} ({duration(wait)} of it waiting for data; median '
                f'of {len(worked)} steps)')
    place = 'on the GPU' if context.device.startswith('cuda') else 'of this whole process'
    section.say(f'largest memory {place}: {memory / 2**20:,.0f} MiB')
    section.data.update(step_seconds=wait + work, data_seconds=wait, timed_steps=len(worked),
                        peak_memory_bytes=memory, steps=steps, train_seconds=training)
    line = f'{steps:,} steps take about {duration(training)}'
    seconds = context.image_seconds
    if seconds and validations(context):
        count = validations(context)
        validating = seconds * len(context.val_set) * count
        section.data.update(validations=count, val_seconds=validating)
        line += (f', {count} validations of {len(context.val_set):,} images about '
                 f'{duration(validating)}; together {duration(training + validating)}')
    section.data['eta_seconds'] = training + section.data.get('val_seconds', 0.)
    section.say(line + ', on this machine as it is now')
    if wait > work:
        section.warn(f'a step waits longer for data ({duration(wait)}) than it works '
                     f'({duration(work)}); raise train_dataloader.num_workers, or make the '
                     'pipeline cheaper')
    values = {name: float(value) for name, value in logged.items()
              if isinstance(value, torch.Tensor) and value.numel() == 1}
    wrong = [name for name, value in values.items() if value != value or abs(value) == float('inf')]
    if wrong:
        section.error(f"{', '.join(wrong)}: NaN or infinite after {len(worked) + 1} steps; lower "
                      'the learning rate, or clip gradients')
    section.data['loss_after'] = values.get('loss')
    section.say(f"loss in the last of these steps: {number(values.get('loss', float('nan')))}")
