"""The table of segmentors: quick trials, and a page that is not stale."""

import runpy

import pytest

from mmkd_sod.errors import ConfigError
from mmkd_sod.testing.small_segmentors import CLASSIFIERS, SMALL_SEGMENTORS
from tests.conftest import ROOT

TOOL = runpy.run_path(str(ROOT / 'tools' / 'segmentor_table.py'))
PAGE = ROOT / 'docs' / 'cskd_segmentors.md'


@pytest.mark.parametrize('name', ['SegFormer', 'UPerNet-Swin', 'BiSeNetV2', 'OCRNet', 'K-Net'])
def test_one_step_on_either_side(name):
    for trial in TOOL['try_segmentor'](name):
        assert trial.clean
        assert len(trial.shape) == 3 and min(trial.losses.values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(SMALL_SEGMENTORS))
def test_every_architecture_as_the_page_says(name):
    found = TOOL['try_segmentor'](name)
    supported = PAGE.read_text(encoding='utf-8').split('## Refused')[0]
    if isinstance(found, str):
        assert f'| {name} |' not in supported
    else:
        assert f'| {name} | `{CLASSIFIERS.get(name, "conv_seg")}` |' in supported
        assert all(trial.clean for trial in found)


def test_page_lists_every_architecture_once():
    page = PAGE.read_text(encoding='utf-8')
    for name in SMALL_SEGMENTORS:
        assert page.count(f'\n| {name} |') == 1
    assert page.split('## Refused')[0].count('| `') >= 12


def test_what_is_refused_is_told_and_a_failure_leaves_the_page(tmp_path, monkeypatch, capsys):
    main, out = TOOL['main'], tmp_path / 'page.md'
    main(['--out', str(out), '--segmentors', 'FCN', 'Segmenter'])
    assert '1 of 2 architectures supported' in capsys.readouterr().out
    page = out.read_text()
    assert '| FCN | `conv_seg` |' in page
    assert 'SegmenterMaskTransformerHead does not have' in page.split('## Refused')[1]
    unclean = TOOL['Trial']((1, 1, 1), dict.fromkeys(TOOL['TERMS'], 1.0), False)
    monkeypatch.setitem(main.__globals__, 'try_pair', lambda *args: unclean)
    with pytest.raises(ConfigError, match='FCN failed the trial'):
        main(['--out', str(out), '--segmentors', 'FCN'])
    assert out.read_text() == page
