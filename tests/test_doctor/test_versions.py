"""Installed versions, and those that the requirements exclude."""

import pytest
import torch

from mmkd_sod import compat
from mmkd_sod.doctor import versions
from tests.doctor import findings, run_section


def test_versions_are_those_of_the_process(section):
    found = section('versions')
    assert found.data['packages']['torch'] == torch.__version__
    assert found.level == 'ok' and 'mmengine' in '\n'.join(found.lines)


def test_a_version_that_is_excluded_is_named(monkeypatch):
    monkeypatch.setattr(
        versions.metadata,
        'requires',
        lambda name: ['torch<1.0', 'no_such_package>=2', 'numpy', 'ruff; extra == "tests"'],
    )
    _, section = run_section(versions)
    assert findings(section, 'warning').splitlines() == [
        f'torch {torch.__version__} is installed; mmkd_sod requires torch<1.0; install that '
        'version',
        'no_such_package is not installed; mmkd_sod requires no_such_package>=2; install it',
    ]


@pytest.mark.parametrize(
    ('installed', 'warned'),
    [
        (('mmcv-lite',), ''),
        (
            ('mmcv', 'mmcv-lite'),
            'mmcv and mmcv-lite are installed; both own the folder mmcv; uninstall '
            'both and install one of them',
        ),
    ],
)
def test_two_packages_in_the_folder_of_mmcv_are_named(monkeypatch, tmp_path, installed, warned):
    for name in installed:
        info = tmp_path / f'{name.replace("-", "_")}-2.1.0.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: 2.1.0\n')

    def distribution(name):
        found = versions.metadata.distributions(name=name, path=[str(tmp_path)])
        for item in found:
            return item
        raise versions.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(versions.metadata, 'distribution', distribution)
    monkeypatch.setattr(versions.metadata, 'requires', lambda name: [])
    _, section = run_section(versions)
    assert findings(section, 'warning') == warned
    assert set(installed) == {name for name in section.data['packages'] if 'mmcv' in name}
    assert section.data['operators'] in ('compiled', 'plain torch')


def test_a_package_that_is_not_installed_has_no_requirements(monkeypatch):
    def absent(name):
        raise versions.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(versions.metadata, 'requires', absent)
    _, section = run_section(versions)
    assert section.level == 'ok'


def test_upstream_problems_without_a_patch_are_named(monkeypatch):
    entry = compat.ENTRIES[0]
    monkeypatch.setattr(
        compat, 'outcomes', lambda: [compat.Outcome(entry, compat.OFF, 'MMKD_COMPAT_OFF names it')]
    )
    _, section = run_section(versions)
    assert findings(section, 'warning') == (
        f'compat entry {entry.name} is off: MMKD_COMPAT_OFF names it; without it {entry.why}'
    )
    assert section.data['compat'] == {entry.name: 'off'}
