"""Other versions in environments of their own."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

TOOL = ROOT / 'tools/version_matrix.py'
# As an environment tells them; what lies under a fork is not shown.
VERSIONS = '{"python": "3.1.4", "torch": "2.7.1", "mmengine": "0.10.7", "onedl-mmengine": "0.11"}'
SHOWN = 'python 3.1.4, torch 2.7.1, onedl-mmengine 0.11'
QUICK = ('--tests', 'tests/test_compat.py')


@pytest.fixture
def pips(monkeypatch):
    """What would have been run; nothing is."""
    calls = []

    def run(command, **options):
        calls.append(command)
        if '--target' in command or 'venv' in command:
            folder = Path(command[command.index('--target') + 1 if '--target' in command else -1])
            mmrazor = folder / 'mmrazor'
            mmrazor.mkdir(parents=True, exist_ok=True)
            (mmrazor / '__init__.py').write_text("mmcv_maximum_version = '2.1.0'\nmore = 1\n")
        if 'pytest' in command:
            options['stdout'].write('....\nFAILED tests/test_a.py::test_b\n4 passed in 1s\nbye\n')
        elif 'venv' in command:
            (Path(command[-1]) / 'bin').mkdir(parents=True)
            (Path(command[-1]) / 'bin/python').touch()
        return subprocess.CompletedProcess(command, 0, VERSIONS)

    monkeypatch.setattr(subprocess, 'run', run)
    monkeypatch.setattr('shutil.which', lambda name: f'/bin/{name}')
    return calls


def tool(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', ['version_matrix.py', *map(str, args)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_an_overlay(pips, monkeypatch, tmp_path, capsys):
    tool(monkeypatch, 'onedl-mmengine', '--folder', tmp_path, *QUICK)
    install, _, tests = pips
    assert '--target' in install and install[-1].startswith('onedl-mmengine==')
    assert tests[-1] == 'tests/test_compat.py'
    wanted = f'| onedl-mmengine | {SHOWN} | 4 passed in 1s |'
    assert wanted in capsys.readouterr().out
    result = json.loads((tmp_path / 'onedl-mmengine.json').read_text())
    assert result['failed'] == ['FAILED tests/test_a.py::test_b']


def installs(calls):
    return [call[5:] for call in calls if call[3:5] == ['-q', 'install']]


def test_an_environment_replaces_pins_and_takes_mmcv_lite(pips, monkeypatch, tmp_path):
    tool(monkeypatch, 'torch-newest', '--folder', tmp_path, '--install-only')
    assert [call for call in pips if 'pytest' in call] == []
    pinned = (tmp_path / 'torch-newest/constraints.txt').read_text().splitlines()
    names = {Requirement(line).name for line in pinned}
    assert {'mmcv-lite', 'mmrazor', 'numpy'} <= names and 'torch' not in names
    (install,) = installs(pips)
    assert 'torch==2.15.0' in install and str(ROOT / 'requirements/lite.txt') in install


def test_the_forks_mmcv_is_let_through_by_the_mmrazor_of_its_row(pips, monkeypatch, tmp_path):
    tool(monkeypatch, 'onedl', '--folder', tmp_path, '--install-only')
    (install,) = installs(pips)
    assert {'onedl-mmcv==2.3.6', 'onedl-mmdetection==3.5.1', 'mmrazor==1.0.0'} <= set(install)
    mmrazor = tmp_path / 'onedl/mmrazor/__init__.py'
    assert mmrazor.read_text() == "mmcv_maximum_version = '2.3.6'\nmore = 1\n"


def test_a_row_that_was_stopped_goes_on_and_one_that_is_ready_is_used(
    pips, monkeypatch, tmp_path, capsys
):
    tool(monkeypatch, 'python3.12', '--folder', tmp_path, '--install-only')
    made = len(pips)
    tool(monkeypatch, 'python3.12', '--folder', tmp_path, '--install-only')
    assert len(pips) == made
    (tmp_path / 'python3.12/ready.json').unlink()
    tool(monkeypatch, 'python3.12', '--folder', tmp_path, *QUICK)
    again = pips[made:]
    assert not [call for call in again if 'venv' in call] and installs(again)
    capsys.readouterr()
    del pips[:]
    tool(monkeypatch, '--table-only', '--folder', tmp_path)
    assert not pips
    lines = capsys.readouterr().out.splitlines()
    assert f'| python3.12 | {SHOWN} | 4 passed in 1s |' in lines
    assert '| oldest | torch==2.6.0 | not run |' in lines


def test_an_environment_of_other_packages_is_made_anew(pips, monkeypatch, tmp_path):
    tool(monkeypatch, 'mmengine-oldest', '--folder', tmp_path, '--install-only')
    stamp = tmp_path / 'mmengine-oldest/ready.json'
    stamp.write_text(json.dumps(dict(json.loads(stamp.read_text()), packages=['mmengine==0.1'])))
    (stamp.parent / 'old.py').touch()
    tool(monkeypatch, 'mmengine-oldest', '--folder', tmp_path, '--install-only')
    assert len(installs(pips)) == 2 and not (stamp.parent / 'old.py').exists()


@pytest.mark.parametrize(
    ('said', 'reason'),
    [
        (
            "  KeyError: '__version__'\nnote: This error originates from a subprocess.\n"
            'error: metadata-generation-failed\n',
            "KeyError: '__version__'",
        ),
        (
            'a.h:9:2: error: #error C++20 is required\n    9 | #error C++20\n'
            'b.h:1:1: error: no type\n'
            'RuntimeError: Error compiling objects\nERROR: Failed to build one or more wheels\n',
            '#error C++20 is required',
        ),
        ('', 'exit code 1'),
    ],
)
def test_why_an_installation_failed_is_told(monkeypatch, tmp_path, capsys, said, reason):
    def run(command, **options):
        options['stdout'].write(said)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, 'run', run)
    tool(monkeypatch, 'mmengine-oldest', '--folder', tmp_path)
    out = capsys.readouterr().out
    assert f'| mmengine-oldest | mmengine==0.10.4 | not installed: {reason} |' in out
    assert not (tmp_path / 'mmengine-oldest/ready.json').exists()


def test_rows_that_are_unknown_and_pythons_that_are_not_there(pips, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool(monkeypatch, 'torch-1')
    assert "row 'torch-1' is unknown" in capsys.readouterr().err
    monkeypatch.setattr('shutil.which', lambda _: None)
    with pytest.raises(SystemExit):
        tool(monkeypatch, 'python3.12', '--folder', tmp_path)
    assert "'python3.12' is not on the PATH" in capsys.readouterr().err
