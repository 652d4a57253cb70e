"""Mutated files of every kind: no crash, no hang, no code, and nothing written elsewhere."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.outcomes import record
from tests.test_fuzz.mutations import mutate_archive, mutate_bytes, mutate_text
from tests.test_fuzz.originals import KINDS

QUICK, ALL = 20, 210
# Seconds for one file, and for a whole group beyond its start.
SLOWEST, LIMIT = 20, 300


def feed(name: str, seed: int, count: int, folder) -> dict[str, int]:
    """Feed mutants of a kind in a process of its own; return how often each outcome came."""
    beside = folder / 'beside'
    beside.mkdir()
    (beside / 'precious.txt').write_text('kept')
    done = subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            '-m',
            'tests.test_fuzz.feed',
            name,
            str(seed),
            str(count),
            str(folder / 'fuzz'),
        ],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
        errors='replace',
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    ended = [entry for entry in found if 'outcome' in entry]
    assert len(ended) == count
    wrong = [
        entry
        for entry in ended
        if entry['outcome'] == 'traceback' or entry['seen'] or entry['seconds'] > SLOWEST
    ]
    assert not wrong, wrong[:3]
    assert [path.name for path in beside.iterdir()] == ['precious.txt']
    assert (beside / 'precious.txt').read_text() == 'kept'
    outcomes = [entry['outcome'] for entry in ended]
    return {outcome: outcomes.count(outcome) for outcome in ('ok', 'refused')}


@pytest.mark.parametrize('name', KINDS)
def test_some_mutants(tmp_path, name):
    assert feed(name, 0, QUICK, tmp_path)['refused'] > 0


@pytest.mark.slow
@pytest.mark.parametrize('name', KINDS)
def test_many_mutants(tmp_path, name):
    found = feed(name, 1, ALL, tmp_path)
    assert found['refused'] > ALL // 20
    record('fuzz', name, found)


def test_there_are_enough_mutants():
    assert len(KINDS) * QUICK >= 200 and len(KINDS) * ALL >= 2000


@pytest.mark.parametrize('mutate', [mutate_bytes, mutate_text])
def test_mutations_are_seeded_and_change_something(mutate):
    import random

    content = b'{"a": [1, 2.5, "text"]}' * 3
    mutants = [mutate(content, random.Random(seed)) for seed in range(40)]
    assert mutants == [mutate(content, random.Random(seed)) for seed in range(40)]
    assert sum(mutant != content for mutant in mutants) > 35
    assert mutate_archive is KINDS['checkpoint'].mutate


def test_the_watch_sees_what_it_has_to_see(tmp_path):
    code = (
        'import os, subprocess, sys\nfrom pathlib import Path\n'
        'from tests.test_fuzz.feed import Watch\n'
        f'watch = Watch(Path({str(tmp_path / "in")!r}))\nwatch.on = True\n'
        f"open({str(tmp_path / 'in' / 'a')!r}, 'w')\nopen({str(tmp_path / 'out')!r}, 'w')\n"
        f"os.system('true')\nsubprocess.run(['true'])\nexec('1')\n"
        f'os.remove({str(tmp_path / "out")!r})\nwatch.on = False\nprint(watch.seen)'
    )
    (tmp_path / 'in').mkdir()
    seen = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for word in ('writes', 'os.system', 'subprocess.Popen', 'exec <string>', 'os.remove'):
        assert word in seen
    assert 'in/a' not in seen
