"""Importing mmrazor leaves Python's recursion limit as it was."""

from tests.test_compat.test_compat import run


def test_endless_recursion_still_ends_in_an_error():
    out = run(
        'import sys, mmkd_sod\n'
        'sys.setrecursionlimit(1234)\n'
        'import mmrazor.models\n'
        'print(sys.getrecursionlimit())\n'
        'def f(x): return f(x)\n'
        'try: f(1)\n'
        'except RecursionError: print("raised")\n'
    )
    assert out.split()[-2:] == ['1234', 'raised']


def test_pruning_may_have_its_limit():
    out = run(
        'import sys, mmkd_sod, mmrazor.models\nprint(sys.getrecursionlimit())',
        MMKD_COMPAT_OFF='mmrazor_recursion_limit',
    )
    assert out.split()[-1] == str(2**20)
