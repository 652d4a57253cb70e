"""The page is complete, self-contained and well-formed."""

import re
from datetime import datetime
from html.parser import HTMLParser

from mmkd_sod.report.page import render
from mmkd_sod.report.predictions import Gallery
from mmkd_sod.report.runs import find_runs
from mmkd_sod.report.studies import group, join_tests
from tests.work_dirs import seeds

VOID = {'meta', 'img', 'input', 'line', 'path', 'circle', 'rect'}


class Checker(HTMLParser):
    """Checks that tags are closed and collects addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ('src', 'href', 'srcset')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def test_page(tmp_path):
    studies = group(join_tests(find_runs([str(seeds(tmp_path, {0: (0.6, 0.4, 0.5)}))]))[0])
    found = Gallery(
        ['<a>.jpg'],
        {'Truth': ['data:image/jpeg;base64,AA=='], 'CrossKD': ['data:image/jpeg;base64,AA==']},
        0,
        'boxes',
        [('RBC', 'rgb(1,2,3)')],
        ['<note>'],
    )
    page = render(studies, [found], 'A < B', ['left & out'], date=datetime(2026, 1, 1))
    checker = Checker()
    checker.feed(page)
    assert not checker.open and 'script' not in checker.tags and 'link' not in checker.tags
    assert all(address.startswith('data:') for address in checker.addresses)
    assert not re.search(r'url\(|@import|https?://', page)
    for text in (
        'A &lt; B',
        '&lt;note&gt;',
        'left &amp; out',
        '2026-01-01',
        'Final scores',
        'Predictions',
        'Curves',
        'of seed 0',
        "default-src 'none'",
    ):
        assert text in page


def test_two_studies_have_titles(tmp_path):
    (study,) = group(join_tests(find_runs([str(seeds(tmp_path, {0: (0.6, 0.4, 0.5)}))]))[0])
    assert '<h2>' not in render([study], [Gallery()], 'T')
    assert render([study, study], [Gallery()] * 2, 'T').count('<h2>') == 2
