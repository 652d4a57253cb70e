"""Run benchmarks by name; `--list` lists them, `--all` runs all that are not finished.

Each writes its results to benchmarks/results/NAME_*.json while it runs. After Ctrl-C, the same
command measures what is missing; `--again` measures everything. benchmarks/README.md is updated at
the end.
"""

import argparse
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from gain_sets import SETS, expected_hours

from mmkd_sod.cli.common import EXIT_INTERRUPTED, run_tool
from mmkd_sod.errors import ConfigError

HERE = Path(__file__).resolve().parent
GAIN_JOBS = 2


@dataclass(frozen=True)
class Entry:
    """A benchmark.

    Attributes:
        measures (str): What it measures.
        minutes (float): Approximate duration on 2 cores.
        data (str): Data that it needs.
        arguments (tuple[str, ...]): Arguments of its script.
    """

    measures: str
    minutes: float
    data: str = 'none'
    arguments: tuple = ()


# Benchmarks by the name of their script, in the order in which they run.
ENTRIES = dict(
    checkpoint_size=Entry("a checkpoint's weights: student, ours, mmrazor's", 1),
    start_up=Entry("imports; time to the first step, also of mmdet's train.py", 3),
    data_throughput=Entry(
        'images per second of each demo pipeline',
        1,
        'data/bccd, camvid, human_seg; missing ones are skipped',
    ),
    sod_evaluation=Entry('SODMetric and a plain loop, 1,000 maps', 1),
    saliency_inference=Entry('images per second of the 0.80 M student, torch and ONNX', 1),
    cskd_loss=Entry("CSKD's feature loss and a plain loop over blocks", 2),
    mmcv_ops=Entry("mmcv's operators in plain torch and compiled", 3, 'none; a compiled mmcv'),
    crosskd_step=Entry("CrossKD's step and peak memory, its bound, and mmrazor", 4),
    teacher_options=Entry("each method's step with each teacher option, and its bound", 5),
    peak_memory=Entry("each method's peak memory and its bound", 3),
    growth=Entry('a step and its bound by size, batch, levels, classes, teachers', 7),
    gain=Entry(
        'teacher, plain and distilled students on real data, 3 seeds',
        round(60 * expected_hours(3, GAIN_JOBS)),
        ', '.join(sorted({one.data for one in SETS.values() if not one.made})),
        ('--jobs', str(GAIN_JOBS)),
    ),
)


def table() -> str:
    """Return the list of benchmarks, one line each."""
    lines = [
        f'{name:19}{entry.minutes:5.0f} min  {entry.measures} (data: {entry.data})'
        for name, entry in ENTRIES.items()
    ]
    hours = sum(entry.minutes for entry in ENTRIES.values()) / 60
    return '\n'.join([*lines, f'{"all":19}{hours:5.1f} h on 2 cores'])


def finish(process: subprocess.Popen) -> int:
    """Wait for a process; after Ctrl-C, give it time to stop its own processes."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        try:
            process.wait(timeout=3)  # Ctrl-C in a terminal has reached it too
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        raise


def run(names: list[str], again: bool) -> list[str]:
    """Run entries one after another in separate processes; return those that failed."""
    failed, left = [], sum(ENTRIES[name].minutes for name in names)
    for number, name in enumerate(names, start=1):
        print(f'== {number}/{len(names)} {name}; about {left:.0f} min left in all', flush=True)
        began = time.monotonic()
        command = [
            sys.executable,
            '-W',
            'ignore',
            str(HERE / f'{name}.py'),
            *ENTRIES[name].arguments,
            *(['--again'] if again else []),
        ]
        if finish(subprocess.Popen(command, cwd=HERE.parent)):
            failed.append(name)
        left -= ENTRIES[name].minutes
        print(f'== {name}: {(time.monotonic() - began) / 60:.1f} min', flush=True)
    return failed


def main(argv=None) -> int:
    """List or run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', help='entries to run')
    parser.add_argument('--list', action='store_true', help='list the entries')
    parser.add_argument('--all', action='store_true', help='run every entry')
    parser.add_argument('--again', action='store_true', help='measure existing results again')
    args = parser.parse_args(argv)
    unknown = [name for name in args.names if name not in ENTRIES]
    if unknown:
        raise ConfigError(f"there is no benchmark '{unknown[0]}'; choose from {', '.join(ENTRIES)}")
    if args.list or not (args.names or args.all):
        print(table())
        return 0
    # SIGTERM stops the run as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failed = run(list(ENTRIES) if args.all else args.names, args.again)
    except KeyboardInterrupt:
        print('run.py: interrupted; run the same command again to resume', file=sys.stderr)
        return EXIT_INTERRUPTED
    subprocess.run(
        [sys.executable, '-W', 'ignore', str(HERE / 'make_readme.py')], check=True, cwd=HERE.parent
    )
    if failed:
        print(f'failed: {", ".join(failed)}', file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__':
    run_tool(main)
