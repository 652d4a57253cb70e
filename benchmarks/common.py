"""Shared by the benchmarks: steps, interleaved timing, peak memory, machine, results on disk."""

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
    """Wait until the GPU has finished; do nothing on a CPU."""
    if device != 'cpu':
        torch.cuda.synchronize()


def interleaved(
    variants: dict[str, Callable[[], None]], rounds: int, warmup: int, device: str = 'cpu'
) -> dict[str, list[float]]:
    """Time every call in seconds; variants take turns, so that drift affects all of them equally.

    Args:
        variants (dict): Functions that run one step, by name.
        rounds (int): Timed rounds.
        warmup (int): Rounds before the timed ones.
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
        print(
            f'\r  round {turn + 1}/{warmup + rounds}, {left:.0f} s left ',
            end='',
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    return seconds


def training_step(model, data: dict) -> Callable[[], None]:
    """Return a function that runs preprocessing, forward, backward and update on a batch."""
    model.train()
    optimizer = torch.optim.SGD(
        (p for p in model.parameters() if p.requires_grad), 1e-6, momentum=0.9
    )

    def step():
        inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
        loss, _ = model.parse_losses(model(**inputs, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def teacher_forward(model, data: dict) -> Callable[[], None]:
    """Return a function that runs a plain teacher's preprocessing and forward on a batch."""
    model.eval().requires_grad_(False)

    def step():
        inputs = model.data_preprocessor(copy.deepcopy(data), training=True)
        with torch.no_grad():
            model(**inputs, mode='tensor')

    return step


def median(values: list[float]) -> float:
    """Return the median, rounded to the resolution of the clock."""
    return round(statistics.median(values), 5)


def ratio_of_medians(seconds: dict[str, list[float]], name: str, *bound: str) -> float:
    """Return the median time of a variant divided by the sum of the medians of others."""
    return round(
        statistics.median(seconds[name]) / sum(statistics.median(seconds[part]) for part in bound),
        4,
    )


def timed(variants: dict[str, Callable[[], None]], bounds: dict[str, tuple], args) -> dict:
    """Time all variants and divide those in ``bounds`` by the sum of the named others.

    Args:
        variants (dict): As for ``interleaved``.
        bounds (dict): For a variant, the names of the variants that make up its lower bound.
        args (argparse.Namespace): With ``rounds``, ``warmup`` and ``device``.
    """
    seconds = interleaved(variants, args.rounds, args.warmup, args.device)
    return dict(
        seconds={name: median(values) for name, values in seconds.items()},
        over_bound={
            name: ratio_of_medians(seconds, name, *bound) for name, bound in bounds.items()
        },
    )


def ratios(_: str, cell: dict) -> str:
    """Return the ratios of a cell of ``timed`` as one line."""
    return ', '.join(f'{name} {ratio:.3f}' for name, ratio in cell['over_bound'].items())


def peak_memory_mib(script: str, *args: str) -> float:
    """Run a script in a separate process and return the peak memory that it prints last."""
    out = subprocess.run(
        [sys.executable, '-W', 'ignore', script, *args], check=True, capture_output=True, text=True
    )
    return float(out.stdout.strip().split('\n')[-1])


def print_peak_memory() -> None:
    """Print this process's peak resident memory in MiB.

    Read from /proc if available: after a fork ``ru_maxrss`` starts at the parent's value.
    """
    try:
        with open('/proc/self/status') as status:
            kib = next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))
    except (OSError, StopIteration):
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(round(kib / 1024, 1))


def machine(device: str = 'cpu') -> dict:
    """Return what the figures depend on: processor, threads, versions."""
    name = platform.processor() or platform.machine()
    try:
        with open('/proc/cpuinfo') as info:
            name = next(line.split(':')[1].strip() for line in info if 'model name' in line)
    except (OSError, StopIteration):
        pass
    found = dict(
        cpu=name,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
    )
    if device != 'cpu':
        found['gpu'] = torch.cuda.get_device_name()
    return found


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every benchmark."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument('--rounds', type=int, default=15, help='timed rounds')
    made.add_argument('--warmup', type=int, default=3, help='rounds before the timed ones')
    made.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    made.add_argument('--threads', type=int, help="CPU threads; default: torch's choice")
    made.add_argument('--again', action='store_true', help='measure existing results again')
    return made


def parse(arguments: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line and set the number of CPU threads."""
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
