"""Detectors and segmentors give the same on compiled and on plain operators."""

import logging
import runpy
import sys

import pytest

from mmkd_sod.errors import InstallationError
from tests.conftest import ROOT
from tests.test_compat.test_mmcv_ops.parity import needs_compiled

TOOL = runpy.run_path(str(ROOT / 'tools/compare_operators.py'))
# A kind of head or an operator each.
MODELS = {
    'mmdet::gfl/gfl_r50_fpn_1x_coco.py': {'nms'},
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': {'nms', 'roi_align_forward'},
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py': {'nms', 'roi_align_backward'},
    'mmdet::reppoints/reppoints-moment_r50_fpn_1x_coco.py': {'nms', 'deform_conv_forward'},
    # Its attention calls an operator on GPUs only.
    'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': set(),
    'mmseg::pspnet/pspnet_r18-d8_4xb4-80k_isaid-896x896.py': set(),
    'mmseg::psanet/psanet_r50-d8_4xb4-80k_ade20k-512x512.py': {'psamask_forward'},
}


@needs_compiled
@pytest.mark.parametrize('name', MODELS, ids=lambda name: name.split('/')[0])
def test_a_model_is_the_same_on_both(name, monkeypatch):
    monkeypatch.setattr(logging.root.manager, 'disable', logging.WARNING)
    row = TOOL['compare'](name)
    assert not row.compiled and not row.plain
    assert row.same, str(row)
    assert row.operators >= MODELS[name]


def test_both_zoos_give_one_config_of_each_architecture():
    for package, least in (('mmdet', 80), ('mmseg', 40)):
        names = TOOL['configs'](package)
        folders = [name.split('/')[0] for name in names]
        assert len(folders) == len(set(folders)) > least
        assert not any('_base_' in name or name.endswith('_tta.py') for name in names)


def test_rows_that_differ_or_run_on_one_set_alone_are_marked():
    row = TOOL['Row']
    assert row('a', {'nms'}, (0.0, 0.0, 0.0)).same and not row('a', set(), (0.0, 0.0, 1.0)).same
    assert row('a', set(), (), 'no', 'nor this').same and row('a', set(), (), 'no').same
    assert '| runs | KeyError: x | | | | **no** |' in ' '.join(
        str(row('a', set(), (), '', 'KeyError: x')).split()
    )


def test_a_config_that_cannot_be_built_runs_on_neither(monkeypatch):
    def build(name):
        raise KeyError('no such model')

    monkeypatch.setitem(TOOL['compare'].__globals__, 'build', build)
    row = TOOL['compare']('mmdet::a/b.py')
    assert row.same and row.compiled == row.plain == "KeyError: 'no such model'"


def test_without_compiled_operators_there_is_nothing_to_compare(monkeypatch):
    monkeypatch.setitem(TOOL['main'].__globals__, 'operators_in_use', lambda: 'plain torch')
    with pytest.raises(InstallationError, match='no compiled operators'):
        TOOL['main']([])


def test_the_exit_code_tells_whether_all_are_alike(monkeypatch, capsys):
    scope = TOOL['main'].__globals__
    monkeypatch.setitem(scope, 'operators_in_use', lambda: 'compiled')
    monkeypatch.setattr(logging, 'disable', lambda level: None)
    for difference, code in ((0.0, 0), (1.0, 1)):
        monkeypatch.setitem(
            scope,
            'compare',
            lambda name, far=difference: TOOL['Row'](name, {'nms'}, (far, 0.0, 0.0)),
        )
        assert TOOL['main'](['mmdet::a/b.py']) == code
        assert '1 architectures: 1 run on both' in capsys.readouterr().out
    assert 'mmcv.ops' in sys.modules
