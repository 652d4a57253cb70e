"""Gains of distillation on real data: teacher, plain and distilled students, of several seeds.

Every training and test is a process of tools/train.py and tools/test.py with work folders under
work_dirs/benchmarks/gain/SET/seedN/. Stop it with Ctrl-C and start it again: what is finished is
kept, what is not goes on from its last checkpoint. A work folder of an earlier run counts where it
lies (or is linked) under the same name, with its config and its test's scores in it, and was made
from the same settings. Results are written after each test.
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
from mmkd_sod.report.metrics import describe, mean, spread
from mmkd_sod.utils.progress import progress_bar

NAME = 'gain_cpu'
WORK_DIRS = Path('work_dirs/benchmarks/gain')
_POLL = 0.5  # seconds between looks at the processes
_LOOK = 15.  # seconds between looks at how far the trainings are
# A step's maps are taken from the system and given back at every step unless told otherwise: 2 to
# 6 % of a step on one core. Memory that is kept, in large pages, costs nothing and changes no
# number; other C libraries than glibc do not look.
_TUNABLES = ':'.join(f'glibc.malloc.{name}' for name in (
    'hugetlb=1', 'mmap_max=0', f'trim_threshold={2 ** 35}', f'top_pad={2 ** 26}'))


def summary(metric: str, plain: dict, distilled: dict) -> dict | None:
    """Mean and deviation of both, and the gain, over the seeds that both have.

    Args:
        metric (str): Name of the score.
        plain (dict): Scores by seed, ``{seed: {metric: value}}``.
        distilled (dict): The same of the distilled student.

    Returns:
        dict | None: ``plain``, ``distilled`` and ``gain`` as [mean, sample standard deviation or
        None]; a positive gain is an improvement, whichever way the score counts. ``exceeds`` says
        whether the mean gain is above one standard deviation of the gains; None of one seed.
    """
    seeds = [seed for seed in plain if seed in distilled]
    if not seeds:
        return None
    sign = -1 if describe(metric).less_is_better else 1
    values = dict(plain=[plain[seed][metric] for seed in seeds],
                  distilled=[distilled[seed][metric] for seed in seeds])
    values['gain'] = [sign * (ours - theirs) for ours, theirs in
                      zip(values['distilled'], values['plain'], strict=True)]
    found = {name: [round(number, 6) if number is not None else None
                    for number in (mean(numbers), spread(numbers))]
             for name, numbers in values.items()}
    average, deviation = mean(values['gain']), spread(values['gain'])
    return dict(found, seeds=len(seeds),
                exceeds=None if deviation is None else average > deviation)


def summaries(scores: dict, one) -> dict:
    """All gains of a set: by method, then length, then metric."""
    found: dict = {}
    for method in one.distilled:
        for epochs in map(str, one.epochs):
            cell = {metric: summary(metric, scores.get('student', {}).get(epochs, {}),
                                    scores.get(method, {}).get(epochs, {}))
                    for metric in one.metrics}
            if all(cell.values()):
                found.setdefault(method, {})[epochs] = cell
    return found


class Results:
    """The json of all sets: scores by role, length and seed, and the gains."""

    def __init__(self, again: bool = False) -> None:
        there = (RESULTS / f'{NAME}.json').is_file() and not again
        self.content = load(NAME) if there else dict(sets={})

    def of(self, group: str) -> dict:
        """A set's part; begun anew where the settings are others."""
        settings = SETS[group].settings()
        part = self.content['sets'].get(group)
        if part is None or part['settings'] != settings:
            part = self.content['sets'][group] = dict(settings=settings, scores={}, gains={})
        return part

    def get(self, run: GainRun) -> dict | None:
        """Scores of a run that are written already."""
        lengths = self.of(run.group)['scores'].get(run.role, {})
        return lengths.get(str(run.epochs), {}).get(str(run.seed))

    def put(self, run: GainRun, scores: dict) -> None:
        """Write the scores of a run, and what follows from them."""
        part = self.of(run.group)
        lengths = part['scores'].setdefault(run.role, {}).setdefault(str(run.epochs), {})
        lengths[str(run.seed)] = scores
        part['scores'][run.role][str(run.epochs)] = dict(sorted(lengths.items()))
        part['gains'] = summaries(part['scores'], run.one)
        self.content = dict(machine=machine(), sets=self.content['sets'])
        save(NAME, self.content)


class Work:
    """Runs processes, several at a time, until all scores are there.

    Args:
        runs (list[GainRun]): What is wanted, teachers before their students.
        results (Results): Where scores go.
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
        # A teacher whose score is known may still have to be trained for its students' sake.
        needed = {id(run.teacher): run.teacher for run in self.waiting
                  if run.teacher is not None and not run.teacher.trained()
                  and not self._tested(run)}
        self.waiting = [run for run in runs if run in self.waiting or id(run) in needed]
        # Process to its run, and whether that was trained when it began.
        self.active: dict[subprocess.Popen, tuple[GainRun, bool]] = {}
        self.failed: list[GainRun] = []
        self.total, self.began = self._rest(), time.monotonic()

    def _rest(self) -> float:
        """Minutes that what waits, or runs, is expected to take from here, one at a time."""
        return sum(run.minutes() for run in self.waiting)

    def _tested(self, run: GainRun) -> bool:
        return run.scores(run.one.metrics) is not None

    def _settle(self, run: GainRun) -> bool:
        """Take the scores of a run, if there are any; whether nothing is left to do for it."""
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
        """What is left, by what things took so far."""
        elapsed, rest = (time.monotonic() - self.began) / 60, self._rest()
        done = self.total - rest
        rate = elapsed / done if done > 1 else 1 / self.jobs
        return f'{len(self.waiting)} runs, about {rest * rate / 60:.1f} h left'

    def _start(self) -> None:
        """Start what can run now."""
        for run in list(self.waiting):
            if len(self.active) >= self.jobs:
                return
            ready = run.teacher is None or run.teacher.trained()
            busy = any(run is one for one, _ in self.active.values())
            if ready and not busy and run not in self.failed:
                run.log.parent.mkdir(parents=True, exist_ok=True)
                trained = run.trained()
                with open(run.log, 'a') as log:
                    process = subprocess.Popen(run.command(), env=self.env, stdout=log,
                                               stderr=subprocess.STDOUT)
                self.active[process] = run, trained

    def _collect(self) -> None:
        """Look after the processes that ended."""
        for process in [one for one in self.active if one.poll() is not None]:
            run, tested = self.active.pop(process)
            if process.returncode == 0 and self._settle(run):
                self._finish(run, 'measured')
            elif process.returncode or tested or not run.trained():
                self.failed.append(run)
                print(f"{run.name}: failed; see '{run.log}'", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """End the processes; trainings go on from their last checkpoints next time."""
        for process in self.active:
            process.terminate()
        for process in self.active:
            process.wait()

    def go(self) -> bool:
        """Run everything; whether nothing failed."""
        for run in list(self.waiting):
            if self._settle(run):
                self._finish(run, 'was there')
        self.total, self.began = self._rest(), time.monotonic()
        # A plain kill stops as Ctrl-C does.
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
    """See to the data; the sets that can be run."""
    able = []
    for group in groups:
        one = SETS[group]
        if not one.made and not Path(one.data).is_dir():
            print(f"{group}: '{one.data}' is not there; the set is left out", file=sys.stderr)
            continue
        command = [sys.executable, '-W', 'ignore', *one.prepare]
        if one.prepare and subprocess.run(command).returncode:
            print(f"{group}: '{' '.join(one.prepare)}' failed; the set is left out",
                  file=sys.stderr)
            continue
        able.append(group)
    return able


def main(argv=None) -> int:
    """Run what is missing; 1 where something failed, 130 where it was stopped."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument('--sets', nargs='*', default=list(SETS), choices=list(SETS))
    arguments.add_argument('--seeds', nargs='*', type=int, default=[0, 1, 2])
    arguments.add_argument('--jobs', type=int, default=1, help='processes at a time')
    arguments.add_argument('--threads', type=int, default=1, help='CPU threads of each')
    arguments.add_argument('--again', action='store_true',
                           help='forget the scores that are written; work folders are kept')
    args = arguments.parse_args(argv)
    if args.jobs < 1 or args.threads < 1:
        raise ConfigError(f'gain.py: --jobs {args.jobs} --threads {args.threads} must be at least '
                          '1; leave them out for one process of one thread')
    results = Results(args.again)
    wanted = {group: runs_of(group, SETS[group], args.seeds, WORK_DIRS) for group in args.sets}
    open_sets = [group for group, runs in wanted.items()
                 if any(results.get(run) is None for run in runs)]
    able = prepare(open_sets)
    work = Work([run for group in able for run in wanted[group]], results, args.jobs,
                args.threads)
    if not work.waiting:
        print(f'{NAME}: nothing left to run')
    try:
        return 0 if work.go() else 1
    except KeyboardInterrupt:
        print(f'{NAME}: stopped; the same command goes on from here', file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == '__main__':
    run_tool(main)
