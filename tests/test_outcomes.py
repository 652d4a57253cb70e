"""The tables of the documentation show what the long tests of safety counted."""

import json

import pytest

from tests import outcomes
from tests.outcomes import ATTACKS, KILLED, RECORDED, record, tables
from tests.test_doors import DOORS, INERT, REFUSED
from tests.test_fuzz.originals import KINDS
from tests.test_fuzz.test_fuzz import ALL


def test_the_pages_show_the_recorded_counts():
    for page, wanted in tables().items():
        text = page.read_text(encoding='utf-8')
        for table in wanted:
            assert table in text, f'{page.name} is older than {RECORDED.name}: ' + outcomes.__doc__


def test_everything_was_run():
    found = json.loads(RECORDED.read_text())
    assert found['doors'].keys() == DOORS.keys()
    assert ATTACKS.keys() == {**INERT, **REFUSED}.keys()
    for row in found['doors'].values():
        assert row.keys() == ATTACKS.keys()
        assert {row[name] for name in INERT} == {'inert'}
        assert {row[name].partition(',')[0] for name in REFUSED} == {'refused'}
    assert found['fuzz'].keys() == KINDS.keys()
    assert {sum(row.values()) for row in found['fuzz'].values()} == {ALL}
    assert found['kills'].keys() == KILLED.keys()
    assert sum(row['kills'] for row in found['kills'].values()) >= 40


@pytest.mark.parametrize('asked', [True, False])
def test_counts_are_added_where_the_environment_asks(tmp_path, monkeypatch, asked):
    path = tmp_path / 'a.json'
    monkeypatch.delenv('MMKD_RECORD', raising=False)
    if asked:
        monkeypatch.setenv('MMKD_RECORD', str(path))
    record('fuzz', 'a', dict(ok=1))
    record('fuzz', 'a', dict(refused=2))
    assert [name.name for name in tmp_path.iterdir()] == (['a.json'] if asked else [])
    if asked:
        assert json.loads(path.read_text()) == dict(fuzz=dict(a=dict(ok=1, refused=2)))
