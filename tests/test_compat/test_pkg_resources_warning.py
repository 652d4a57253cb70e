"""The warning of pkg_resources is silent, and only that one."""

import warnings

from mmkd_sod.compat import pkg_resources_warning


def test_only_that_warning_is_ignored():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        pkg_resources_warning.silence()
        warnings.warn('pkg_resources is deprecated as an API', UserWarning, stacklevel=1)
        warnings.warn('something else is deprecated', UserWarning, stacklevel=1)
    assert [str(one.message) for one in caught] == ['something else is deprecated']
