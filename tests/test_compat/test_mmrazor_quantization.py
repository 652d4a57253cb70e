"""mmrazor is imported without its quantisation tables."""

import sys

from mmkd_sod.compat import mmrazor_quantization
from tests.test_compat.test_compat import run

TABLES = 'mmrazor.structures.quantization.backend_config'


def test_the_stand_in_is_empty(monkeypatch):
    monkeypatch.delitem(sys.modules, TABLES, raising=False)
    mmrazor_quantization.stub_tables()
    assert sys.modules[TABLES].BackendConfigs == {}


def test_tables_that_are_imported_already_stay(monkeypatch):
    monkeypatch.setitem(sys.modules, TABLES, sys)
    mmrazor_quantization.stub_tables()
    assert sys.modules[TABLES] is sys


def test_without_the_entry_mmrazor_does_not_import():
    code = (
        'import mmkd_sod\n'
        'try: import mmrazor.models\n'
        'except Exception as error: print("failed", type(error).__name__)\n'
        'else: print("imported")'
    )
    assert run(code).split()[-1] == 'imported'
    assert 'failed' in run(code, MMKD_COMPAT_OFF='mmrazor_quantization')
