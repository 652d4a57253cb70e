"""Charts are well-formed SVG with a text description."""

import math
from xml.etree import ElementTree

import pytest

from mmkd_sod.report.charts import Row, Series, line_chart, nice_ticks, number, row_chart, thin


def test_nice_ticks_cover_the_range():
    assert nice_ticks(0, 1) == [0, 0.25, 0.5, 0.75, 1]
    assert nice_ticks(49.1, 53.5) == [48, 50, 52, 54]
    assert len(nice_ticks(3, 3)) > 1
    assert number(-1234.5) == '−1234' and number(25000) == '25k'


def test_thin_takes_means():
    points = [(float(x), 2.0 * x) for x in range(1000)]
    few = thin(points, 100)
    assert len(few) == 100 and few[0] == (4.5, 9.0) and thin(points[:5]) == points[:5]


def test_line_chart_is_xml_with_a_label():
    series = [
        Series('A <1>', 's-plain', {x: 1.0 / x for x in range(1, 60)}),
        Series('B', 's-distilled', {5: 0.2, 10: math.nan, 15: 0.4}, dots=True),
    ]
    text = line_chart('loss & more', series, 'iteration', [('Teacher', 's-teacher', 0.3)], 100)
    figure = ElementTree.fromstring(text)
    svg = figure.find('svg')
    assert 'loss & more' in svg.get('aria-label') and 'B ends at 40' in svg.get('aria-label')
    assert 'NaN or infinite' in text and 'nan' not in text
    assert len(text.split('<circle')) == 3 and 'reference s-teacher' in text


def test_line_chart_of_one_point_or_none():
    for points in ({3: 1.0}, {}, {1: math.nan}):
        ElementTree.fromstring(line_chart('t', [Series('A', 's-plain', points)], 'epoch'))


@pytest.mark.parametrize('bars', [False, True])
def test_row_chart_draws_every_run(bars):
    rows = [
        Row('Plain', 's-plain', [('seed 0', -1.0), ('seed 1', 2.0)], '0.5 ± 2.1'),
        Row('x' * 40, 's-distilled', [('seed 0', 3.0)], '3.0'),
    ]
    figure = ElementTree.fromstring(row_chart('AP', rows, 'AP', bars=bars))
    svg = figure.find('svg')
    assert len(list(svg.iter('circle'))) == 3 and len(list(svg.iter('rect'))) == 2 * bars
    assert '0.5 ± 2.1' in svg.get('aria-label')
