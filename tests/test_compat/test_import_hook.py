"""Code around an import."""

import importlib
import importlib.util
import itertools
import sys
from contextlib import contextmanager

import pytest

from mmkd_sod.compat.import_hook import after_import, around_import

numbers = itertools.count()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with one module that runs and one that fails; its name, another in each test."""
    name = f'hooked_package_{next(numbers)}'
    folder = tmp_path / name
    folder.mkdir()
    (folder / '__init__.py').write_text('')
    (folder / 'part.py').write_text('import sys\nseen = list(sys.hooked)\n')
    (folder / 'bad.py').write_text('1 / 0')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, 'hooked', [], raising=False)
    return name


def test_contexts_are_open_while_the_module_runs(package):
    @contextmanager
    def around():
        sys.hooked.append('in')
        yield
        sys.hooked.append('out')

    around_import(f'{package}.part', around)
    assert f'{package}.part' not in sys.modules
    part = importlib.import_module(f'{package}.part')
    assert part.seen == ['in'] and sys.hooked == ['in', 'out']
    # What reads source or data through the module finds the loader that it would have had.
    assert (
        type(part.__loader__).__name__
        == type(part.__spec__.loader).__name__
        == ('SourceFileLoader')
    )
    assert 'seen' in part.__loader__.get_source(part.__name__)


def test_a_function_runs_after_the_import_or_at_once(package):
    after_import(f'{package}.part', lambda: sys.hooked.append(1))
    assert sys.hooked == []
    part = importlib.import_module(f'{package}.part')
    assert part.seen == [] and sys.hooked == [1]
    after_import(f'{package}.part', lambda: sys.hooked.append(2))
    assert sys.hooked == [1, 2]


def test_modules_that_fail_or_are_missing_are_as_without_it(package):
    for name in ('bad', 'no_such'):
        after_import(f'{package}.{name}', lambda: sys.hooked.append(1))
    with pytest.raises(ZeroDivisionError):
        importlib.import_module(f'{package}.bad')
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f'{package}.no_such')
    assert importlib.util.find_spec(f'{package}.no_such') is None and sys.hooked == []
