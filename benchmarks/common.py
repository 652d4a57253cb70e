"""What the benchmarks share: steps, interleaved timing, peak memory, machine, results on disk."""
import argparse
import copy
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mmkd_sod.utils.files import write_json

RESULTS = Path(__file__).resolve().parent / 'results'


def synchronize(device: str) -> None:
    """Wait for a GPU; nothing on CPU."""
    if device != 'cpu':
        torch.cuda.synchronize()


def interleaved(variants: dict[str, Callable[[], None]], rounds: int, warmup: int,
                device: str = 'cpu') -> dict[str, list[float]]:
    """Seconds of every call, the variants taking turns so that drift meets all of them alike.

    Args:
        variants (dict): Name to a function that does one step.
        rounds (int): Timed rounds.
        warmup (int): Rounds before, not timed.
        device (str): 'cpu' or 'cuda'.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    began = time.monotonic()
    for turn in range(warmup + rounds):
        for name, step in variants.items():
            synchronize(device)
            start = time.perf_counter()
            step()
            synchronize(device)
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - start)
        left = (time.monotonic() - began) / (turn + 1) * (warmup + rounds - turn - 1)
        print(f'\r  round {turn + 1}/{warmup + rounds}, {left:.0f} s left ', end='',
              file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return seconds


def training_step(model, data: dict) -> Callable[[], None]:
    """A function that does preprocessing, forward, backward and update on a batch."""
    model.train()
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), 1e-6,
                                momentum=0.9)

    def step():
        inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
        loss, _ = model.parse_losses(model(**inputs, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def teacher_forward(model, data: dict) -> Callable[[], None]:
    """A function that does a plain teacher's preprocessing and forward on a batch."""
    model.eval().requires_grad_(False)

    def step():
        inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
        with torch.no_grad():
            model(**inputs, mode='tensor')

    return step


def median(values: list[float]) -> float:
    """Median, rounded to what the clock tells."""
    return round(statistics.median(values), 5)


def ratio_of_medians(seconds: dict[str, list[float]], name: str, *bound: str) -> float:
    """Median time of a variant over the sum of the medians of others."""
    return round(statistics.median(seconds[name])
                 / sum(statistics.median(seconds[part]) for part in bound), 4)


def timed(variants: dict[str, Callable[[], None]], bounds: dict[str, tuple], args) -> dict:
    """Seconds of all variants and, of those in ``bounds``, the ratio to the sum of others'.

    Args:
        variants (dict): As for :func:`interleaved`.
        bounds (dict): Name of a variant to the names of those that make its lower bound.
        args (argparse.Namespace): With ``rounds``, ``warmup`` and ``device``.
    """
    seconds = interleaved(variants, args.rounds, args.warmup, args.device)
    return dict(seconds={name: median(values) for name, values in seconds.items()},
                over_bound={name: ratio_of_medians(seconds, name, *bound)
                            for name, bound in bounds.items()})


def ratios(_: str, cell: dict) -> str:
    """What a cell of :func:`timed` says in one line."""
    return ', '.join(f'{name} {ratio:.3f}' for name, ratio in cell['over_bound'].items())


def peak_memory_mib(script: str, *args: str) -> float:
    """Peak resident memory of a script run in a process of its own, which prints it last."""
    out = subprocess.run([sys.executable, '-W', 'ignore', script, *args], check=True,
                         capture_output=True, text=True)
    return float(out.stdout.strip().split('\n')[-1])


def print_peak_memory() -> None:
    """Print this process's peak resident memory in MiB.

    From /proc where there is one: ``ru_maxrss`` starts at the parent's figure after a fork.
    """
    try:
        with open('/proc/self/status') as status:
            kib = next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(round(kib / 1024, 1))


def machine(device: str = 'cpu') -> dict:
    """What the figures depend on: processor, threads, versions."""
    name = platform.processor() or platform.machine()
    try:
        with open('/proc/cpuinfo') as info:
            name = next(line.split(':')[1].strip() for line in info if 'model name' in line)
    except (OSError, StopIteration):
        pass
    found = dict(cpu=name, threads=torch.get_num_threads(), torch=torch.__version__,
                 python=platform.python_version())
    if device != 'cpu':
        found['gpu'] = torch.cuda.get_device_name()
    return found


def parser(description: str) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument('--rounds', type=int, default=15, help='timed rounds')
    made.add_argument('--warmup', type=int, default=3, help='rounds before')
    made.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    made.add_argument('--threads', type=int, help='CPU threads; default: as torch chooses')
    made.add_argument('--again', action='store_true', help='measure also what is there already')
    return made


def parse(arguments: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line; CPU threads are set to what it says."""
    args = arguments.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    return args


def save(name: str, content: dict) -> Path:
    """Write a benchmark's results as json."""
    path = RESULTS / f'{name}.json'
    write_json(path, content, indent=2)
    return path


def load(name: str) -> dict:
    """Read a benchmark's results."""
    return json.loads((RESULTS / f'{name}.json').read_text())
