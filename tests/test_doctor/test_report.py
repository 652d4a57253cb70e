"""Sections, their levels, and both forms of the report."""

import json

import pytest

from mmkd_sod.doctor.report import Report, Section, duration, number, table


def sections():
    good, bad, skipped = Section('a', 'Good'), Section('b', 'Bad'), Section('c', 'Not done')
    good.add('a fact')
    good.note('worth knowing')
    good.data.update(shape=(1, 2), bad=float('nan'), counts={3: 4})
    bad.warn('in doubt')
    bad.error('a long describe_error ' * 10)
    skipped.skip('something is missing')
    return [good, bad, skipped]


def test_levels_and_exit_code():
    report = Report('x.py', sections())
    assert [section.level for section in report.sections] == ['ok', 'error', 'skipped']
    assert report.exit_code == 1 and report.findings('warning') == ['in doubt']
    assert Report('x.py', sections()[:1]).exit_code == 0
    doubtful = Section('d', 'D')
    doubtful.warn('w')
    assert doubtful.level == 'warning' and Report('x.py', [doubtful]).exit_code == 0


def test_text_fits_a_terminal_and_ends_with_the_result():
    text = Report('x.py', sections()).as_text()
    assert max(map(len, text.splitlines())) <= 100
    assert 'Bad  [error]' in text and '    skipped: something is missing' in text
    assert '1 error, 1 warning (0 s)' in text
    assert text.splitlines()[-1].strip().startswith('long describe_error') or 'long' in text[-120:]
    assert Report('x.py', sections()[:1]).as_text().endswith('no warnings (0 s)')


def test_json_has_no_nan():
    found = json.loads(json.dumps(Report('x.py', sections()).as_dict(), allow_nan=False))
    assert found['ok'] is False and found['notes'] == ['worth knowing']
    assert found['sections']['a'] == dict(
        level='ok', seconds=0.0, shape=[1, 2], bad=None, counts={'3': 4}
    )


def test_table_aligns_numbers_right():
    assert table(['', 'n', 'what'], [['a', '1', 'x'], ['bb', '10', 'yy']]) == [
        '     n  what',
        'a    1  x',
        'bb  10  yy',
    ]


@pytest.mark.parametrize(
    'value, wanted',
    [
        (0, '0'),
        (0.12345, '0.1235'),
        (1234.5, '1234'),
        (54321.0, '54321'),
        (1e-5, '1.00e-05'),
        (2.5e6, '2.50e+06'),
        (float('nan'), 'nan'),
    ],
)
def test_number(value, wanted):
    assert number(value) == wanted


@pytest.mark.parametrize(
    'seconds, wanted',
    [(0.314, '0.31 s'), (42, '42 s'), (90, '2 min'), (3600, '1 h 0 min'), (100000, '1 d 3 h')],
)
def test_duration(seconds, wanted):
    assert duration(seconds) == wanted
