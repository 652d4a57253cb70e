"""Which configs of runs the report builds."""

import pytest
from mmengine.config import Config

from mmkd_sod.report.config_code import code_in
from tests.conftest import ROOT

CALL = "__import__('os').system('true')"


@pytest.mark.parametrize(
    'name',
    [
        'demo/scenes_gfl_crosskd.py',
        'demo/scenes_gfl_student.py',
        'crosskd/gfl_r18.py',
        'scfnet/kd_scfnet_mobilenetv3.py',
        'scfnet/kd_fast_scnn.py',
        'hkdnet/hkdnet_s_hkd.py',
        'cskd/deeplabv3_r18_camvid.py',
    ],
)
def test_configs_of_known_types_are_built(name):
    cfg = Config.fromfile(ROOT / 'configs' / name)
    assert code_in(cfg) is None


@pytest.mark.parametrize(
    'change',
    [
        dict(type='os.system', command='true'),
        dict(type='mmengine.dump', obj='a', file='b'),
        dict(type='mmdet.utils.misc.os.system'),
        dict(type='mmdet.GFL', backbone=dict(type='subprocess.run', args='true')),
        dict(type='mmdet.GFL', backbone=[dict(type=CALL)]),
        dict(type='antigravity'),
        dict(type='mmdet.GFL', test_cfg=dict(nms=dict(type=CALL))),
        dict(type='mmdet.StrongSORTTracker', cmc=dict(warp_mode=CALL)),
        dict(cfg_path='evil.py'),
        dict(cfg_path='mmdet::../../evil.py'),
        dict(cfg_path='evil::a.py'),
        dict(architecture=dict(cfg_path='configs/../evil.py'), teacher=dict(type='A')),
        dict(type='mmdet.GFL', _scope_='evil'),
    ],
    ids=str,
)
def test_what_may_run_code_is_named(change):
    assert code_in(Config(dict(model=change, default_scope='mmdet'))) is not None


@pytest.mark.parametrize(
    'change',
    [
        dict(custom_imports=dict(imports=['evil'])),
        dict(custom_imports=dict(imports='evil.models')),
        dict(default_scope='evil'),
        dict(test_dataloader=dict(dataset=dict(type='os.system'))),
        dict(test_dataloader=dict(dataset=dict(pipeline=[dict(type='os.system')]))),
    ],
    ids=str,
)
def test_code_beside_the_model_is_named(change):
    assert code_in(Config(dict(dict(default_scope='mmdet'), **change))) is not None


def test_what_is_not_built_does_not_count():
    model = dict(
        architecture=dict(type='mmdet.GFL', test_cfg=dict(nms=dict(type='nms'))),
        teacher=dict(type='my.Teacher'),
        distiller=dict(type='my.Distiller'),
    )
    hooks = [dict(type='my.Hook')]
    assert code_in(Config(dict(model=model, custom_hooks=hooks, default_scope='mmdet'))) is None
    assert code_in(Config(dict())) is None
