"""The entry that offers operators leaves compiled ones alone and can be switched off."""

import pytest

from mmkd_sod.compat import mmcv_operators
from mmkd_sod.compat.entry import check_attributes
from mmkd_sod.compat.mmcv_ops.extension import operators_in_use
from tests.test_compat.test_compat import run

IMPORT = 'import mmkd_sod, mmcv._ext as e; print(e.__name__, hasattr(e, "nms"))'


def test_it_fits_the_installed_mmcv():
    assert check_attributes(mmcv_operators.ENTRY) is None


def test_mmcv_finds_operators():
    assert run(IMPORT).split() == ['mmcv._ext', 'True']


@pytest.mark.skipif(operators_in_use() == 'compiled', reason='a compiled mmcv is installed')
def test_switched_off_there_are_none():
    code = (
        'import mmkd_sod\n'
        'try: import mmcv._ext\n'
        'except ModuleNotFoundError as error: print(error.name)'
    )
    assert run(code, MMKD_COMPAT_OFF='mmcv_operators').strip() == 'mmcv._ext'
