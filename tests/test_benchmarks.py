"""The benchmarks' page says what their results say."""
import sys

import pytest
from mmengine.utils import import_modules_from_strings

from tests.conftest import ROOT

FOLDER = ROOT / 'benchmarks'


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    module = import_modules_from_strings('make_readme')
    yield module
    for name in ('make_readme', 'common'):
        sys.modules.pop(name, None)


def test_page_is_made_from_the_results(page):
    assert (FOLDER / 'README.md').read_text() == page.readme()


def test_paired_ratios_are_medians_over_rounds(page):
    from common import paired_ratio
    seconds = dict(a=[2., 9., 3.], b=[1., 3., 1.], c=[1., 1.5, 2.])
    assert paired_ratio(seconds, 'a', 'b', 'c') == 1.0
