"""Cells are kept as they come, and measured once."""

import json

import pytest


@pytest.fixture
def cells(bench, results):
    return bench('cells')


def measured(cells, keys, settings, again=False, stop_at=None):
    """Keys that were measured in this run."""
    seen = []

    def make(key):
        if key == stop_at:
            raise KeyboardInterrupt
        seen.append(key)
        return dict(value=len(seen))

    try:
        cells.Cells('x_cpu', settings, again=again).measure(keys, make)
    except KeyboardInterrupt:
        seen.append('stopped')
    return seen


def test_a_stopped_run_goes_on(cells, results):
    settings = dict(rounds=3)
    assert measured(cells, 'abc', settings, stop_at='b') == ['a', 'stopped']
    assert list(json.loads((results / 'x_cpu.json').read_text())['cells']) == ['a']
    assert measured(cells, 'abc', settings) == ['b', 'c']
    assert measured(cells, 'abc', settings) == []
    found = json.loads((results / 'x_cpu.json').read_text())
    assert list(found['cells']) == ['a', 'b', 'c'] and found['settings'] == settings
    assert found['cells']['a']['value'] == 1


def test_a_gap_is_filled_in_the_order_of_the_keys(cells, results):
    measured(cells, 'ac', {})
    measured(cells, 'abc', {})
    assert list(json.loads((results / 'x_cpu.json').read_text())['cells']) == ['a', 'b', 'c']


def test_other_settings_and_again_begin_anew(cells):
    assert measured(cells, 'ab', dict(rounds=3)) == ['a', 'b']
    assert measured(cells, 'ab', dict(rounds=4)) == ['a', 'b']
    assert measured(cells, 'ab', dict(rounds=4), again=True) == ['a', 'b']


def test_a_part_of_the_keys_keeps_the_others(cells, results):
    measured(cells, 'ab', {})
    assert measured(cells, 'a', {}) == []
    assert list(json.loads((results / 'x_cpu.json').read_text())['cells']) == ['a', 'b']


def test_other_work_is_a_number_of_processors(cells):
    others = cells.OtherWork()
    assert sum(range(10**5)) and others.processors() >= 0
