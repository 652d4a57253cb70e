"""Gains of distillation on real data: teacher, plain and distilled students, several seeds.

Every training and test is a process of tools/train.py or tools/test.py with a work directory under
work_dirs/benchmarks/gain/SET/seedN/. After Ctrl-C, the same command keeps finished runs and resumes
the others from their last checkpoints. A work directory of an earlier run is used if it has the
same name (or is linked under it), contains its config and test scores, and was made with the same
settings. Results are written after each test.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from common import RESULTS, load, machine, save
from gain_runs import GainRun, runs_of
from gain_sets import SETS

from mmkd_sod.cli.common import EXIT_INTERRUPTED, run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.report.metrics import describe, mean, std
from mmkd_sod.utils.progress import progress_bar

NAME = 'gain_cpu'
WORK_DIRS = Path('work_dirs/benchmarks/gain')
_POLL = 0.5  # seconds between checks of the processes
_LOOK = 15.0  # seconds between updates of the trainings' progress
# By default glibc returns a step's large buffers to the system at every step, which takes 2 to 6 %
# of a step on one core. These settings keep them without changing results; other C libraries ignore
# them.
_TUNABLES = ':'.join(
    f'glibc.malloc.{name}'
    for name in ('hugetlb=1', 'mmap_max=0', f'trim_threshold={2**35}', f'top_pad={2**26}')
)


def summary(metric: str, plain: dict, distilled: dict) -> dict | None:
    """Return mean and standard deviation of both, and of the gain, over their common seeds.

    Args:
        metric (str): Name of the score.
        plain (dict): Scores by seed, ``{seed: {metric: value}}``.
        distilled (dict): The same for the distilled student.

    Returns:
        dict | None: ``plain``, ``distilled`` and ``gain`` as [mean, sample standard deviation or
        None]; a positive gain is an improvement, also for scores where less is better. ``exceeds``:
        the mean gain is larger than one standard deviation of the gains; None with one seed.
    """
    seeds = [seed for seed in plain if seed in distilled]
    if not seeds:
        return None
    sign = -1 if describe(metric).less_is_better else 1
    values = dict(
        plain=[plain[seed][metric] for seed in seeds],
        distilled=[distilled[seed][metric] for seed in seeds],
    )
    values['gain'] = [
        sign * (ours - theirs)
        for ours, theirs in zip(values['distilled'], values['plain'], strict=True)
    ]
    found = {
        name: [
            round(number, 6) if number is not None else None
            for number in (mean(numbers), std(numbers))
        ]
        for name, numbers in values.items()
    }
    average, deviation = mean(values['gain']), std(values['gain'])
    return dict(found, seeds=len(seeds), exceeds=None if deviation is None else average > deviation)


def summaries(scores: dict, one) -> dict:
    """Return all gains of a set by method, length and metric."""
    found: dict = {}
    for method in one.distilled:
        for epochs in map(str, one.epochs):
            cell = {
                metric: summary(
                    metric,
                    scores.get('student', {}).get(epochs, {}),
                    scores.get(method, {}).get(epochs, {}),
                )
                for metric in one.metrics
            }
            if all(cell.values()):
                found.setdefault(method, {})[epochs] = cell
    return found


class Results:
    """The json file of all sets: scores by role, length and seed, and the gains."""

    def __init__(self, again: bool = False) -> None:
        there = (RESULTS / f'{NAME}.json').is_file() and not again
        self.content = load(NAME) if there else dict(sets={})

    def of(self, group: str) -> dict:
        """Return the part of a set; start a new one if its settings have changed."""
        settings = SETS[group].settings()
        part = self.content['sets'].get(group)
        if part is None or part['settings'] != settings:
            part = self.content['sets'][group] = dict(settings=settings, scores={}, gains={})
        return part

    def get(self, run: GainRun) -> dict | None:
        """Return the scores of a run that are already written."""
        lengths = self.of(run.group)['scores'].get(run.role, {})
        return lengths.get(str(run.epochs), {}).get(str(run.seed))

    def put(self, run: GainRun, scores: dict) -> None:
        """Write the scores of a run, and update the gains."""
        part = self.of(run.group)
        lengths = part['scores'].setdefault(run.role, {}).setdefault(str(run.epochs), {})
        lengths[str(run.seed)] = scores
        part['scores'][run.role][str(run.epochs)] = dict(sorted(lengths.items()))
        part['gains'] = summaries(part['scores'], run.one)
        self.content = dict(machine=machine(), sets=self.content['sets'])
        save(NAME, self.content)


class Work:
    """Runs processes, several at a time, until all scores are written.

    Args:
        runs (list[GainRun]): The runs, teachers before their students.
        results (Results): Where scores are written.
        jobs (int): Processes at a time.
        threads (int): Threads of each.
    """

    def __init__(self, runs: list[GainRun], results: Results, jobs: int, threads: int) -> None:
        self.results, self.jobs = results, jobs
        self.env = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        self.env.setdefault('GLIBC_TUNABLES', _TUNABLES)
        self.waiting = [run for run in runs if results.get(run) is None]
        for run in self.waiting:
            run.check()
        # A teacher whose score is known may still have to be trained for its students.
        needed = {
            id(run.teacher): run.teacher
            for run in self.waiting
            if run.teacher is not None and not run.teacher.trained() and not self._tested(run)
        }
        self.waiting = [run for run in runs if run in self.waiting or id(run) in needed]
        # The run of each process, and whether it was already trained when the process started.
        self.active: dict[subprocess.Popen, tuple[GainRun, bool]] = {}
        self.failed: list[GainRun] = []
        self.total, self.began = self._rest(), time.monotonic()

    def _rest(self) -> float:
        """Return the expected minutes of all waiting and running runs, one at a time."""
        return sum(run.minutes() for run in self.waiting)

    def _tested(self, run: GainRun) -> bool:
        return run.scores(run.one.metrics) is not None

    def _settle(self, run: GainRun) -> bool:
        """Record the scores of a run, if there are any; return whether it is complete."""
        scores = self.results.get(run)
        if scores is None:
            scores = run.scores(run.one.metrics)
            if scores is None:
                return False
            self.results.put(run, scores)
        needed = any(other.teacher is run and not self._tested(other) for other in self.waiting)
        return run.trained() or not needed

    def _finish(self, run: GainRun, what: str) -> None:
        self.waiting.remove(run)
        main = run.one.metrics[0]
        score = self.results.get(run)[main]
        print(f'{run.name}: {main} {score:.4f} {what}; {self.left()}', flush=True)

    def left(self) -> str:
        """Return the number of remaining runs and the time left, estimated from the pace so far."""
        elapsed, rest = (time.monotonic() - self.began) / 60, self._rest()
        done = self.total - rest
        rate = elapsed / done if done > 1 else 1 / self.jobs
        return f'{len(self.waiting)} runs, about {rest * rate / 60:.1f} h left'

    def _start(self) -> None:
        """Start the runs that are ready."""
        for run in list(self.waiting):
            if len(self.active) >= self.jobs:
                return
            ready = run.teacher is None or run.teacher.trained()
            busy = any(run is one for one, _ in self.active.values())
            if ready and not busy and run not in self.failed:
                run.log.parent.mkdir(parents=True, exist_ok=True)
                trained = run.trained()
                with open(run.log, 'a') as log:
                    process = subprocess.Popen(
                        run.command(), env=self.env, stdout=log, stderr=subprocess.STDOUT
                    )
                self.active[process] = run, trained

    def _collect(self) -> None:
        """Handle the processes that have ended."""
        for process in [one for one in self.active if one.poll() is not None]:
            run, tested = self.active.pop(process)
            if process.returncode == 0 and self._settle(run):
                self._finish(run, 'measured')
            elif process.returncode or tested or not run.trained():
                self.failed.append(run)
                print(f"{run.name}: failed; see '{run.log}'", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """End the processes; next time trainings resume from their last checkpoints."""
        for process in self.active:
            process.terminate()
        for process in self.active:
            process.wait()

    def go(self) -> bool:
        """Run everything; return whether nothing failed."""
        for run in list(self.waiting):
            if self._settle(run):
                self._finish(run, 'from an earlier run')
        self.total, self.began = self._rest(), time.monotonic()
        # SIGTERM stops the run as Ctrl-C does.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with progress_bar(round(self.total)) as update:
                shown, looked = 0, self.began
                self._start()
                while self.active:
                    time.sleep(_POLL)
                    self._collect()
                    self._start()
                    if not self.active or time.monotonic() - looked > _LOOK:
                        done, looked = round(self.total - self._rest()), time.monotonic()
                        update(done - shown)
                        shown = done
        finally:
            self.stop()
            signal.signal(signal.SIGTERM, before)
        return not self.failed


def prepare(groups: list[str]) -> list[str]:
    """Prepare the data; return the sets that can be run."""
    able = []
    for group in groups:
        one = SETS[group]
        if not one.made and not Path(one.data).is_dir():
            print(f"{group}: '{one.data}' does not exist; the set is skipped", file=sys.stderr)
            continue
        command = [sys.executable, '-W', 'ignore', *one.prepare]
        if one.prepare and subprocess.run(command).returncode:
            print(f"{group}: '{' '.join(one.prepare)}' failed; the set is skipped", file=sys.stderr)
            continue
        able.append(group)
    return able


def main(argv=None) -> int:
    """Run what is missing; return 1 if something failed, 130 if interrupted."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument('--sets', nargs='*', default=list(SETS), choices=list(SETS))
    arguments.add_argument('--seeds', nargs='*', type=int, default=[0, 1, 2])
    arguments.add_argument('--jobs', type=int, default=1, help='processes at a time')
    arguments.add_argument('--threads', type=int, default=1, help='CPU threads of each')
    arguments.add_argument(
        '--again',
        action='store_true',
        help='ignore scores that are already written; work directories are kept',
    )
    args = arguments.parse_args(argv)
    if args.jobs < 1 or args.threads < 1:
        raise ConfigError(
            f'gain.py: --jobs {args.jobs} --threads {args.threads} must be at least '
            '1; leave them out for one process of one thread'
        )
    results = Results(args.again)
    wanted = {group: runs_of(group, SETS[group], args.seeds, WORK_DIRS) for group in args.sets}
    open_sets = [
        group for group, runs in wanted.items() if any(results.get(run) is None for run in runs)
    ]
    able = prepare(open_sets)
    work = Work([run for group in able for run in wanted[group]], results, args.jobs, args.threads)
    if not work.waiting:
        print(f'{NAME}: nothing left to run')
    try:
        return 0 if work.go() else 1
    except KeyboardInterrupt:
        print(f'{NAME}: interrupted; run the same command again to resume', file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == '__main__':
    run_tool(main)
