"""What all readers of pairs of detectors check."""

import pytest

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.task_modules.crossing import check_choice, check_equal, check_necks


def test_necks_of_other_widths_need_an_adapter():
    check_necks(256, 256, False)
    check_necks([64, 128], [128, 256], True)
    with pytest.raises(ConfigError, match=r'have 64 channels \(student\) and 256 \(teacher\)'):
        check_necks(64, 256, False)


def test_settings_must_agree():
    check_equal('strides', [8, 16], [8, 16])
    with pytest.raises(ConfigError, match=r'strides must agree, student \[8\], teacher \[16\]'):
        check_equal('strides', [8], [16])


def test_choices_are_listed():
    check_choice('boxes', 'deltas', ('deltas', 'decoded'))
    with pytest.raises(ConfigError, match="boxes='x'; choose deltas or decoded"):
        check_choice('boxes', 'x', ('deltas', 'decoded'))
