"""Other versions in environments of their own."""
import runpy
import subprocess
import sys

import pytest

from tests.conftest import ROOT

TOOL = ROOT / 'tools/version_matrix.py'


@pytest.fixture
def pips(monkeypatch):
    """What would have been run; nothing is."""
    calls = []

    def run(command, **options):
        calls.append(command)
        if 'pytest' in command:
            options['stdout'].write('....\n4 passed in 1s\n')

    monkeypatch.setattr(subprocess, 'run', run)
    return calls


def tool(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', ['version_matrix.py', *map(str, args)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_an_overlay(pips, monkeypatch, tmp_path, capsys):
    tool(monkeypatch, 'onedl-mmengine', '--folder', tmp_path, '--tests', 'tests/test_compat.py')
    install, tests = pips
    assert '--target' in install and install[-1] == 'onedl-mmengine'
    assert tests[-1] == 'tests/test_compat.py'
    assert '| 4 passed in 1s |' in capsys.readouterr().out


def test_rows_that_are_unknown_and_pythons_that_are_not_there(pips, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool(monkeypatch, 'torch-1')
    assert "row 'torch-1' is unknown" in capsys.readouterr().err
    monkeypatch.setattr('shutil.which', lambda _: None)
    with pytest.raises(SystemExit):
        tool(monkeypatch, 'python3.12', '--folder', tmp_path)
    assert "'python3.12' is not on the PATH" in capsys.readouterr().err
