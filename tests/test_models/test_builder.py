"""Building models from configs."""

import pytest
from mmengine.registry import init_default_scope

from mmkd_sod.errors import ConfigError
from mmkd_sod.models import builder
from mmkd_sod.models.builder import build_model, resolve_model_cfg
from tests.detection import detector


def test_overrides_are_merged():
    cfg = resolve_model_cfg(
        dict(
            cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py',
            backbone=dict(depth=18),
            neck=dict(_delete_=True, type='Identity'),
        )
    )
    assert cfg.backbone.depth == 18 and cfg.backbone.num_stages == 4
    assert cfg.neck == dict(type='Identity')
    assert cfg._scope_ == 'mmdet'


def test_segmentors_too():
    cfg = resolve_model_cfg(dict(cfg_path='mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'))
    assert cfg.type == 'EncoderDecoder' and cfg.data_preprocessor.type == 'SegDataPreProcessor'
    assert cfg._scope_ == 'mmseg'


def test_plain_configs_pass():
    assert resolve_model_cfg(dict(type='A', b=1)) == dict(type='A', b=1)


def test_own_configs_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = resolve_model_cfg(dict(cfg_path='configs/demo/bccd_gfl_student.py'))
    assert cfg.bbox_head.num_classes == 3


def test_configs_of_an_installed_package_are_found(tmp_path, monkeypatch):
    folder = tmp_path / '.mim' / 'configs' / 'demo'
    folder.mkdir(parents=True)
    (folder / 'only_there.py').write_text("model = dict(type='A')\n")
    monkeypatch.setattr(builder, 'CONFIG_ROOTS', (tmp_path, tmp_path / '.mim'))
    assert resolve_model_cfg(dict(cfg_path='configs/demo/only_there.py')) == dict(type='A')


@pytest.mark.parametrize('path', ['mmdet::gfl/no_such_file.py', 'no/such/file.py'])
def test_missing_configs(path):
    with pytest.raises(ConfigError, match='is not a config file'):
        resolve_model_cfg(dict(cfg_path=path), 'teacher')


def test_config_without_a_model():
    with pytest.raises(ConfigError, match='without `model`'):
        resolve_model_cfg(dict(cfg_path='mmdet::_base_/default_runtime.py'))


def test_refuses_other_types():
    init_default_scope('mmdet')
    with pytest.raises(ConfigError, match='is a str'):
        build_model('gfl', 'teacher')
    with pytest.raises(ConfigError, match='built a ResNet'):
        build_model(dict(type='mmdet.ResNet', depth=18), 'teacher')
    assert type(build_model(detector())).__name__ == 'GFL'
