"""Configs are found as ``'mmkd_sod::folder/name.py'``."""

from mmengine.config.utils import MODULE2PACKAGE

from mmkd_sod.compat import own_configs
from tests.test_compat.test_compat import run


def test_mmkd_sod_is_announced(monkeypatch):
    monkeypatch.delitem(MODULE2PACKAGE, 'mmkd_sod')
    own_configs.announce_configs()
    assert MODULE2PACKAGE['mmkd_sod'] == 'mmkd_sod'


def test_without_the_entry_the_name_is_unknown():
    code = (
        'import mmkd_sod\n'
        'from mmengine.config.utils import MODULE2PACKAGE\n'
        'print("mmkd_sod" in MODULE2PACKAGE)'
    )
    assert run(code).strip() == 'True'
    assert run(code, MMKD_COMPAT_OFF='own_configs').strip() == 'False'
