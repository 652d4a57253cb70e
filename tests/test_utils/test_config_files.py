"""Configs that refer to themselves are named."""

import pytest

from mmkd_sod.cli.common import read_config
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.utils.config_files import read_config_file


def test_a_circle_of_bases_is_named(tmp_path):
    for name, base in (('a', 'b'), ('b', 'c'), ('c', 'b')):
        (tmp_path / f'{name}.py').write_text(f"_base_ = ['{base}.py']\n")
    with pytest.raises(ConfigError, match=r'inherits from itself \(.*b\.py -> .*c\.py -> .*b\.py'):
        read_config_file(str(tmp_path / 'a.py'))


def test_a_circle_of_imports_is_named(tmp_path):
    text = 'from mmengine.config import read_base\nwith read_base():\n    from .a import *\n'
    (tmp_path / 'a.py').write_text(text)
    with pytest.raises(ConfigError, match=r'inherits from itself \(.*a\.py -> .*a\.py\)'):
        read_config_file(str(tmp_path / 'a.py'))


@pytest.mark.parametrize('text', ['a = ' + '[' * 5000, 'a = ' + '-' * 200_000 + '1'])
def test_deep_nesting_is_one_sentence(tmp_path, text):
    (tmp_path / 'a.py').write_text(text)
    with pytest.raises(ConfigError, match=r'a\.py'):
        read_config(str(tmp_path / 'a.py'))


def test_a_circle_of_cfg_path_is_named(tmp_path):
    first, second = tmp_path / 'a.py', tmp_path / 'b.py'
    for path, other in ((first, second), (second, first)):
        path.write_text(
            "custom_imports = dict(imports=['mmkd_sod'])\n"
            f"model = dict(type='mmkd_sod.DenseDistill', distiller=dict(), "
            f'architecture=dict(cfg_path={str(other)!r}), teacher=dict(cfg_path={str(other)!r}))\n'
        )
    with pytest.raises(ConfigError, match=r'to itself \(.*a\.py -> .*b\.py -> .*a\.py\)'):
        build_model(dict(cfg_path=str(first)))
