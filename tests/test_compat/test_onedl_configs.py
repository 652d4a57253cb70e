"""Configs of mmseg are looked for in the distribution that is installed."""

import pytest
from mmengine.config.utils import MODULE2PACKAGE

from mmkd_sod.compat import entry, onedl_configs
from mmkd_sod.compat.entry import check_attributes, check_package


@pytest.mark.parametrize(
    ('installed', 'needed'),
    [
        (('mmsegmentation',), False),
        (('mmsegmentation', 'onedl-mmsegmentation'), False),
        (('onedl-mmsegmentation',), True),
        ((), False),
    ],
)
def test_only_the_fork_alone_needs_it(monkeypatch, installed, needed):
    def version(name):
        if name not in installed:
            raise entry.metadata.PackageNotFoundError(name)
        return '1.4.2'

    monkeypatch.setattr(entry.metadata, 'version', version)
    assert (check_package(onedl_configs.ENTRY) is None) is needed


def test_mmengine_looks_in_the_fork(monkeypatch):
    monkeypatch.setitem(MODULE2PACKAGE, 'mmseg', 'mmsegmentation')
    assert check_attributes(onedl_configs.ENTRY) is None
    onedl_configs.find_configs_of_the_fork()
    assert MODULE2PACKAGE['mmseg'] == 'onedl-mmsegmentation'
