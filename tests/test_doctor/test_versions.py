"""Versions, and those that the package's requirements exclude."""
import torch

from mmkd_sod.doctor import versions
from tests.doctor import look, told


def test_versions_are_those_of_the_process(section):
    found = section('versions')
    assert found.data['packages']['torch'] == torch.__version__
    assert found.level == 'ok' and 'mmengine' in '\n'.join(found.lines)


def test_a_version_that_is_excluded_is_named(monkeypatch):
    monkeypatch.setattr(versions.metadata, 'requires', lambda name: [
        'torch<1.0', 'no_such_package>=2', 'numpy', 'ruff; extra == "tests"'])
    _, section = look(versions)
    assert told(section, 'warning').splitlines() == [
        f'torch {torch.__version__} is installed; mmkd_sod asks for torch<1.0',
        'no_such_package is not installed; mmkd_sod asks for no_such_package>=2']


def test_a_package_that_is_not_installed_asks_for_nothing(monkeypatch):
    def absent(name):
        raise versions.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(versions.metadata, 'requires', absent)
    _, section = look(versions)
    assert section.level == 'ok'
