"""The benchmarks' page says what their results say."""

import json

from .conftest import FOLDER


def test_page_is_made_from_the_results(bench):
    assert (FOLDER / 'README.md').read_text() == bench('make_readme').readme()


def test_every_picture_of_the_page_is_drawn_from_its_json(bench):
    plots = bench('plots')
    names = set(plots.pictures())
    assert names == {path.stem for path in plots.FOLDER.glob('*.png')}
    for name in names:
        assert f'({plots.PLOTS}/{name}.png)' in (FOLDER / 'README.md').read_text()
        found = json.loads((FOLDER / 'results' / f'{name}.json').read_text())
        assert plots.drawn_from(plots.FOLDER / f'{name}.png') == plots.digest(found)


def test_every_json_has_a_section(bench):
    sections = bench('sections').SECTIONS
    assert {path.stem.rsplit('_', 1)[0] for path in (FOLDER / 'results').glob('*.json')} <= set(
        sections
    )


def test_what_is_not_measured_is_left_out(bench, monkeypatch, tmp_path):
    page = bench('make_readme')
    monkeypatch.setattr(page, 'RESULTS', tmp_path)
    assert page.readme() == page.HEAD
