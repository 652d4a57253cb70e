"""The scripts of benchmarks/ as modules, their results in a folder of the test."""

import sys

import pytest
from mmengine.utils import import_modules_from_strings

from tests.conftest import ROOT

FOLDER = ROOT / 'benchmarks'


@pytest.fixture
def bench(monkeypatch):
    """Imports a script of benchmarks/ by name; all of them are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.chdir(ROOT)
    before = set(sys.modules)
    yield import_modules_from_strings
    own = {path.stem for path in FOLDER.glob('*.py')}
    for name in own & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.fixture
def results(bench, monkeypatch, tmp_path):
    """An empty folder in place of benchmarks/results."""
    folder = tmp_path / 'results'
    for name in ('common', 'cells', 'gain', 'metafiles'):
        monkeypatch.setattr(bench(name), 'RESULTS', folder)
    return folder
