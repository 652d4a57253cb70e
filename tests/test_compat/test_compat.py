"""compat: what is broken upstream works once mmkd_sod is imported."""

import os
import subprocess
import sys
import warnings

import pytest

from mmkd_sod import compat
from mmkd_sod.compat import SWITCH
from mmkd_sod.compat.entry import Entry
from mmkd_sod.errors import InstallationError


def run(code: str, **environment) -> str:
    """Output of a program in a process of its own."""
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        check=True,
        capture_output=True,
        text=True,
        env=dict(os.environ, **environment),
    ).stdout


def test_import_is_light():
    out = run(
        'import sys, mmkd_sod\n'
        'heavy = ("mmdet", "mmseg", "mmrazor", "torchvision", "mmpretrain")\n'
        'print([m for m in heavy if m in sys.modules])'
    )
    assert out.strip() == '[]'


def test_mmrazor_imports_and_torchvision_stays_out():
    out = run(
        'import sys, mmkd_sod, mmrazor.models, mmrazor.engine\n'
        'from mmrazor.registry import MODELS\n'
        'print(MODELS.get("PKDLoss").__name__, "torchvision" in sys.modules)'
    )
    assert out.split()[-2:] == ['PKDLoss', 'False']


@pytest.fixture
def applied(monkeypatch):
    """Apply entries in a clean state; what became of them, and the warnings."""
    monkeypatch.setattr(compat, '_outcomes', {})

    def apply(*entries, off=''):
        monkeypatch.setenv(compat.SWITCH, off)
        monkeypatch.setattr(compat, 'ENTRIES', entries)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            for _ in range(2):  # the second call changes nothing
                compat.apply(entries)
        states = {outcome.entry.name: outcome.state for outcome in compat.outcomes()}
        return states, [str(warning.message) for warning in caught]

    return apply


def entry(calls, name='a', **changes) -> Entry:
    fields = dict(
        name=name,
        packages=('mmengine',),
        versions='>=0.10',
        why='it is broken',
        until='it is not',
        patch=lambda: calls.append(name),
    )
    return Entry(**{**fields, **changes})


def test_an_entry_is_applied_once(applied):
    calls = []
    assert applied(entry(calls)) == ({'a': 'active'}, [])
    assert calls == ['a']


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (dict(versions='<0.1'), 'the entry is for mmengine<0.1'),
        (
            dict(attributes={'mmengine.fileio:LocalBackend.no_such': None}),
            'mmengine.fileio:LocalBackend.no_such does not exist',
        ),
        (dict(attributes={'mmengine.no_such_module:a': None}), 'does not exist'),
        (dict(attributes={'mmengine.no_such_module': None}), 'does not exist'),
        (
            dict(attributes={'mmengine.fileio:LocalBackend.put': ('self', 'path')}),
            'takes (self, obj, filepath), not (self, path)',
        ),
    ],
)
def test_what_differs_is_skipped_with_one_warning(applied, changes, reason):
    calls = []
    states, (warning,) = applied(entry(calls, **changes))
    assert states == {'a': 'skipped'} and calls == []
    assert '"a" (it is broken)' in warning and reason in warning


@pytest.mark.parametrize(
    'changes', [dict(versions='<0.1'), dict(attributes={'mmengine.no_such_module:a': None})]
)
def test_a_security_entry_is_not_skipped(applied, changes):
    calls = []
    with pytest.raises(InstallationError, match=f'how to prevent that it is broken.*{SWITCH}=a'):
        applied(entry(calls, security=True, **changes))
    assert applied(entry(calls, security=True, **changes), off='a') == ({'a': 'off'}, [])
    assert applied(entry(calls, security=True, packages=('no-such-package',)))[1] == []


def test_what_is_not_installed_is_skipped_silently(applied):
    calls = []
    assert applied(
        entry(calls, packages=('no-such-package',)), entry(calls, 'b', unless=('numpy',))
    ) == ({'a': 'skipped', 'b': 'skipped'}, [])
    assert calls == []


def test_entries_are_switched_off_by_name(applied):
    calls = []
    states, (warning,) = applied(entry(calls), entry(calls, 'b'), off='b, c')
    assert states == {'a': 'active', 'b': 'off'} and calls == ['a']
    assert warning == 'MMKD_COMPAT_OFF names c; the entries are a, b; correct the variable'


def test_an_entry_may_wait_for_a_module(applied, tmp_path, monkeypatch):
    (tmp_path / 'late_for_compat.py').write_text('value = 1')
    (tmp_path / 'later_for_compat.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    calls = []
    states, _ = applied(
        entry(calls, after='late_for_compat', attributes={'late_for_compat:value': None}),
        entry(calls, 'b', after='later_for_compat', attributes={'later_for_compat:value': None}),
    )
    assert states == {'a': 'waiting', 'b': 'waiting'} and calls == []
    with pytest.warns(UserWarning, match='later_for_compat:value does not exist'):
        states = [outcome.state for outcome in compat.outcomes(import_all=True)]
    assert states == ['active', 'skipped'] and calls == ['a']


def test_nothing_differs_in_the_installed_packages():
    found = {outcome.entry.name: outcome for outcome in compat.outcomes(import_all=True)}
    assert list(found) == [entry.name for entry in compat.ENTRIES]
    assert not [outcome for outcome in found.values() if outcome.unexpected]
    assert {outcome.state for outcome in found.values()} <= {'active', 'skipped'}


def test_one_entry_is_left_out():
    out = run(
        'import mmkd_sod, mmengine.fileio as f\n'
        'from mmengine.runner import CheckpointLoader as c\n'
        'print(f.LocalBackend.put.__module__, c._schemes["https://"].__module__)',
        MMKD_COMPAT_OFF='whole_checkpoints',
    )
    assert out.split() == [
        'mmengine.fileio.backends.local_backend',
        'mmkd_sod.compat.http_checkpoints',
    ]
