"""Benchmarks by name."""

import ast
import os
import signal
import subprocess
import sys
import time

import pytest

from mmkd_sod.errors import ConfigError
from tests.conftest import ROOT

from .conftest import FOLDER


@pytest.fixture
def run(bench):
    return bench('run')


def test_list_names_every_entry_with_its_time(run, capsys):
    assert run.main(['--list']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*run.ENTRIES, 'all']
    assert all(' min ' in line and '(data: ' in line for line in lines[:-1])


def test_the_whole_set_stays_within_six_hours(run):
    assert sum(entry.minutes for entry in run.ENTRIES.values()) <= 6 * 60


def test_every_entry_is_a_script_and_every_script_an_entry(run):
    scripts = {
        path.stem for path in FOLDER.glob('*.py') if "if __name__ == '__main__'" in path.read_text()
    } - {'run', 'make_readme', 'gpu'}  # gpu is run by itself
    assert scripts == set(run.ENTRIES)
    assert all(
        ast.get_docstring(ast.parse((FOLDER / f'{name}.py').read_text())) for name in scripts
    )


def test_unknown_entry(run):
    with pytest.raises(ConfigError, match="there is no benchmark 'nix'; choose from"):
        run.main(['nix'])


def test_runs_go_on_after_a_failure(run, monkeypatch, tmp_path, capsys):
    for name, code in (('bad', 'raise SystemExit(3)'), ('good', 'import sys; print(sys.argv)')):
        (tmp_path / f'{name}.py').write_text(code)
    monkeypatch.setattr(run, 'HERE', tmp_path)
    monkeypatch.setattr(
        run, 'ENTRIES', dict(bad=run.Entry('nothing', 1), good=run.Entry('nothing', 2))
    )
    assert run.run(['bad', 'good'], again=True) == ['bad']
    out = capsys.readouterr().out
    assert '1/2 bad; about 3 min left' in out and '2/2 good; about 2 min left' in out


def test_stopping_stops_the_entry(tmp_path):
    """A kill of run.py reaches what it runs."""
    script = tmp_path / 'tiny_run.py'
    (tmp_path / 'long.py').write_text(
        'import os, pathlib, sys, time\n'
        "pathlib.Path(__file__).with_name('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n"
    )
    script.write_text(f"""
import pathlib, sys
sys.path.insert(0, {str(FOLDER)!r})
import run
run.HERE = pathlib.Path({str(tmp_path)!r})
run.ENTRIES = dict(long=run.Entry('nothing', 1))
run.run_tool(run.main)
""")
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', str(script), 'long'],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = tmp_path / 'pid'
    for _ in range(600):
        time.sleep(0.1)
        if pid.is_file() and pid.read_text():
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and 'run the same command again' in err
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
