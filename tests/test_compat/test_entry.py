"""What is checked before an entry is applied."""

import pytest

from mmkd_sod.compat import entry
from mmkd_sod.compat.entry import SKIPPED, Entry, check_attributes, check_package, installed_version


def made(**changes) -> Entry:
    fields = dict(
        name='a',
        packages=('mmengine',),
        versions='>=0.10',
        why='it is broken',
        until='it is not',
        patch=lambda: None,
    )
    return Entry(**{**fields, **changes})


@pytest.fixture
def installed(monkeypatch):
    """Pretend that only these distributions are installed."""

    def pretend(**versions):
        def version(name):
            if name not in versions:
                raise entry.metadata.PackageNotFoundError(name)
            return versions[name]

        monkeypatch.setattr(entry.metadata, 'version', version)

    return pretend


def test_the_first_installed_distribution_counts(installed):
    installed(fork='2.0', other='3.0')
    assert installed_version(('missing', 'fork', 'other')) == ('fork', '2.0')
    assert installed_version(('missing',)) is None and installed_version(()) is None


@pytest.mark.parametrize(
    ('version', 'fits'), [('0.9', False), ('0.10.0', True), ('0.11.0rc1', True), ('1.0', False)]
)
def test_versions_are_checked_with_candidates_of_a_release(installed, version, fits):
    installed(mmengine=version)
    outcome = check_package(made(versions='>=0.10,<1'))
    assert (outcome is None) is fits
    if not fits:
        assert outcome.unexpected and outcome.state == SKIPPED
        assert (
            outcome.reason == f'mmengine {version} is installed; the entry is for mmengine>=0.10,<1'
        )


def test_a_missing_package_and_a_needless_entry_are_expected(installed):
    installed()
    assert not check_package(made()).unexpected
    installed(mmengine='0.10.4', plain='1')
    outcome = check_package(made(unless=('plain',)))
    assert outcome.reason == 'plain is installed' and not outcome.unexpected


def test_parameters_and_names_are_checked():
    right = {
        'mmengine.fileio:LocalBackend.put': ('self', 'obj', 'filepath'),
        'mmengine.fileio': None,
        'mmengine.config.utils:MODULE2PACKAGE': None,
    }
    assert check_attributes(made(attributes=right)) is None
    wrong = check_attributes(made(attributes={'mmengine.fileio:LocalBackend.put': ('self',)}))
    assert (
        wrong.reason == 'mmengine.fileio:LocalBackend.put takes (self, obj, filepath), not (self)'
    )


def test_a_module_is_found_without_importing_its_parents(tmp_path, monkeypatch):
    (tmp_path / 'heavy_parent').mkdir()
    (tmp_path / 'heavy_parent/__init__.py').write_text('raise SystemError')
    (tmp_path / 'heavy_parent/part.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    assert check_attributes(made(attributes={'heavy_parent.part': None})) is None
    assert check_attributes(made(attributes={'heavy_parent.none': None})).unexpected
