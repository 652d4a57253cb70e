"""The table of heads: a quick trial of every reader, and a page that is not stale."""

import runpy

import pytest

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.task_modules import reader_class
from mmkd_sod.registry import HEAD_READERS
from mmkd_sod.testing.small_detectors import SMALL_DETECTORS
from tests.conftest import ROOT

TOOL = runpy.run_path(str(ROOT / 'tools' / 'head_table.py'))
PAGE = ROOT / 'docs' / 'crosskd_heads.md'


@pytest.mark.parametrize('name', sorted(SMALL_DETECTORS))
def test_one_step_of_every_head(name):
    trial = TOOL['try_head'](name, steps=1)
    assert trial.supported and trial.clean
    assert 0 < trial.first < float('inf') and trial.last != trial.first
    assert trial.same <= TOOL['ZERO'] * trial.first


def test_page_lists_every_head_as_it_is():
    supported, refused = PAGE.read_text(encoding='utf-8').split('## Refused')
    heads = TOOL['dense_heads']() | TOOL['roi_heads']()
    heads.pop('CLRHead', None)  # of onedl-mmdetection; the page lists mmdet's
    for name, head in heads.items():
        if name in SMALL_DETECTORS:
            assert f'| `{name}` | {reader_class(head, "student").compared} |' in supported
            continue
        trial = TOOL['without_trial'](name, head)
        if trial.kind == 'dense':
            assert f'| `{name}` | {trial.compared} |' in refused
        else:
            assert f'| `{name}` | {trial.kind} | {trial.compared} |' in supported
    assert set(HEAD_READERS.module_dict) <= set(heads)
    assert supported.count('\n| `') >= 16


def test_page_is_written_when_all_pass_and_left_alone_when_one_fails(tmp_path, monkeypatch, capsys):
    main = TOOL['main']
    scope = main.__globals__
    heads = TOOL['dense_heads']()
    monkeypatch.setitem(
        scope, 'dense_heads', lambda: {name: heads[name] for name in ('GFLHead', 'SSDHead')}
    )
    monkeypatch.setitem(scope, 'roi_heads', dict)
    out = tmp_path / 'page.md'
    main(['--out', str(out), '--steps', '2'])
    said = capsys.readouterr()
    assert '1 of 2 heads supported' in said.out and '2/2' in said.err
    page = out.read_text()
    assert '| `GFLHead` |' in page and '| `SSDHead` | it predicts directly' in page
    monkeypatch.setitem(
        scope, 'try_head', lambda name, steps: TOOL['Trial'](name, '', 'dense', 1.0, 2.0, 0.0)
    )
    with pytest.raises(ConfigError, match='GFLHead failed the trial'):
        main(['--out', str(out)])
    assert out.read_text() == page


def test_a_reader_without_a_small_detector_is_told(monkeypatch):
    from mmdet.models.dense_heads import GFLHead

    with pytest.raises(ConfigError, match='GFLHead has a reader but no small detector'):
        TOOL['without_trial']('GFLHead', GFLHead)
