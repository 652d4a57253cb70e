"""mmcv finds its operators: the compiled ones where they load, else those in plain torch."""

import importlib
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec
from pathlib import Path

import mmcv
import pytest

from mmkd_sod import compat
from mmkd_sod.compat.mmcv_ops import extension
from mmkd_sod.compat.mmcv_ops.extension import extension_spec
from mmkd_sod.errors import InstallationError
from tests.conftest import ROOT
from tests.mmcv_names import asked_operators

HERE = Path(extension.__file__).parent
# Of this environment's mmcv; mmcv-lite has none.
COMPILED = sorted(Path(mmcv.__path__[0]).glob('_ext.*'))


@pytest.fixture
def plain(tmp_path):
    """The module that mmcv gets where it comes without its own."""
    spec = extension_spec([str(tmp_path)])
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_operators_of_every_family_are_offered(plain):
    modules = {
        path.stem: importlib.import_module(f'mmkd_sod.compat.mmcv_ops.{path.stem}')
        for path in HERE.glob('[!_]*.py')
    }
    assert {name for name, module in modules.items() if hasattr(module, 'OPERATORS')} == set(
        extension.FAMILIES
    )
    asked = asked_operators()
    assert len(asked) > 100
    for family in extension.FAMILIES:
        operators = modules[family].OPERATORS
        assert operators and operators.keys() <= asked
        assert all(getattr(plain, name) is function for name, function in operators.items())


def test_mmcv_finds_every_operator_that_it_asks_for(plain):
    assert [name for name in asked_operators() if not callable(getattr(plain, name, None))] == []
    assert not hasattr(plain, '__wrapped__')


def test_an_operator_that_is_missing_is_named_when_it_is_called(plain):
    with pytest.raises(InstallationError, match="'no_such_operator' .* OPS=compiled"):
        plain.no_such_operator(1, size=2)
    assert plain.no_such_operator is plain.no_such_operator


@pytest.mark.skipif(not COMPILED, reason='mmcv-lite is installed')
def test_compiled_operators_that_load_are_used():
    assert extension_spec(mmcv.__path__).origin == str(COMPILED[0])
    assert extension.operators_in_use() == 'compiled'


@pytest.mark.skipif(bool(COMPILED), reason='a compiled mmcv is installed')
def test_plain_operators_are_in_use_on_mmcv_lite():
    assert importlib.import_module('mmcv._ext').__spec__.origin == 'mmkd_sod'
    assert extension.operators_in_use() == 'plain torch'


def test_compiled_operators_that_do_not_load_are_named_and_replaced(tmp_path):
    (tmp_path / f'_ext{EXTENSION_SUFFIXES[0]}').write_text('of another torch')
    with pytest.warns(UserWarning, match='compiled operators do not load .*OPS=compiled'):
        spec = extension_spec([str(tmp_path)])
    assert spec.origin == 'mmkd_sod'


def test_an_environment_without_mmcv_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(extension.importlib.util, 'find_spec', lambda name: None)
    assert extension.operators_in_use() is None
    with pytest.raises(InstallationError, match='mmcv is not installed.*mmcv-lite==2.1.0'):
        extension.require_mmcv()


def test_the_finder_stands_once():
    compat.apply()
    extension.offer()
    assert sum(isinstance(finder, extension._Finder) for finder in sys.meta_path) == 1


# Like tools/test.py of mmdet, which reads its config, and with it `custom_imports`, later.
LATE = """
import sys, torch
{start}
from mmcv.ops import nms
print("mmkd_sod" in sys.modules, sys.modules["mmcv._ext"].__spec__.origin)
"""


@pytest.mark.parametrize(
    ('start', 'shown'),
    [
        # As torch calls it in an environment where mmkd_sod is installed.
        ('import mmkd_sod_autoload; mmkd_sod_autoload.offer()', None),
        ('import mmkd_sod', True),
    ],
)
def test_operators_are_there_before_mmcv_asks(start, shown):
    env = dict(os.environ, TORCH_DEVICE_BACKEND_AUTOLOAD='0')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', LATE.format(start=start)],
        env=env,
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    imported, origin = done.stdout.split()
    assert (origin == 'mmkd_sod') == (not COMPILED)
    # Nothing of mmkd_sod is imported where compiled operators are.
    assert imported == str(not COMPILED if shown is None else shown)


@pytest.mark.skipif(bool(COMPILED), reason='a compiled mmcv is installed')
@pytest.mark.parametrize(
    'start', ['import mmkd_sod_autoload; mmkd_sod_autoload.offer()', 'import mmkd_sod']
)
def test_the_switch_of_the_entry_holds_everywhere(start):
    env = dict(os.environ, MMKD_COMPAT_OFF='mmcv_operators', TORCH_DEVICE_BACKEND_AUTOLOAD='0')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', LATE.format(start=start)],
        env=env,
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert "No module named 'mmcv._ext'" in done.stderr
