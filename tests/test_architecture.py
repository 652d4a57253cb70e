"""Imports point downwards, and there is no cycle among modules."""

import pytest

from tests.architecture import (
    LAYERS,
    ONLY_FROM,
    TEST_MATERIAL,
    beside_the_door,
    cycle,
    read_imports,
    upward,
)
from tests.conftest import ROOT

IMPORTS = read_imports(ROOT / 'mmkd_sod')
PACKAGES = pytest.mark.parametrize('package', LAYERS)


def listing(imports) -> str:
    return '\n'.join(str(item) for item in imports)


@PACKAGES
def test_every_part_has_a_layer(package):
    parts = {
        path.stem
        for path in (ROOT / package.replace('.', '/')).iterdir()
        if path.suffix == '.py' or (path / '__init__.py').is_file()
    }
    assert parts - {'__init__', TEST_MATERIAL} == {
        name for line in LAYERS[package] for name in line
    }


@PACKAGES
def test_imports_point_downwards(package):
    wrong = upward(IMPORTS, package)
    assert not wrong, f'imports against LAYERS of tests/architecture.py:\n{listing(wrong)}'


def test_optional_packages_are_imported_in_one_place():
    wrong = beside_the_door(IMPORTS)
    assert not wrong, f'imports against ONLY_FROM of tests/architecture.py:\n{listing(wrong)}'
    assert set(ONLY_FROM.values()) <= {item.source for item in IMPORTS}


def test_modules_import_without_a_cycle():
    found = cycle(IMPORTS)
    assert not found, f'import cycle: {" -> ".join(found)}'


@pytest.fixture
def tree(tmp_path):
    """Write a package ``mmkd_sod`` from a dict of its files; return its imports."""

    def write(files: dict):
        package = tmp_path / 'mmkd_sod'
        for name, text in files.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            for folder in (path.parent, package):
                (folder / '__init__.py').touch()
        return read_imports(package)

    return write


@pytest.mark.parametrize(
    ('name', 'text', 'wrong'),
    [
        ('engine/a.py', 'from mmkd_sod.models import b\n', []),
        ('engine/a.py', 'from . import b\nfrom ..errors import UserError\n', []),
        (
            'engine/a.py',
            'from mmkd_sod.cli import b\n',
            ['engine/a.py:1: mmkd_sod.engine.a imports mmkd_sod.cli'],
        ),
        (
            'utils/a.py',
            'def f():\n    import mmkd_sod.models.b\n',
            ['utils/a.py:2: mmkd_sod.utils.a imports mmkd_sod.models.b'],
        ),
        (
            'apis/a.py',
            'from ..report import page\n',
            ['apis/a.py:1: mmkd_sod.apis.a imports mmkd_sod.report'],
        ),
        (
            'engine/a.py',
            'from mmkd_sod.testing import small\n',
            ['engine/a.py:1: mmkd_sod.engine.a imports mmkd_sod.testing'],
        ),
        (
            'engine/a.py',
            'from mmkd_sod import __version__\n',
            ['engine/a.py:1: mmkd_sod.engine.a imports mmkd_sod'],
        ),
        ('testing/a.py', 'from mmkd_sod.cli import b\n', []),
        (
            'errors.py',
            'import mmkd_sod.utils.a\n',
            ['errors.py:1: mmkd_sod.errors imports mmkd_sod.utils.a'],
        ),
    ],
    ids=str,
)
def test_an_import_upwards_is_named_with_its_line(tree, name, text, wrong):
    found = upward(tree({name: text}))
    assert [str(item) for item in found] == [f'mmkd_sod/{line}' for line in wrong]


def test_layers_inside_models_hold_for_models_alone(tree):
    found = upward(
        tree(
            {
                'models/losses/a.py': 'from mmkd_sod.utils import x\nfrom ..distillers import b\n',
                'engine/c.py': 'from mmkd_sod.models.losses import a\n',
            }
        ),
        'mmkd_sod.models',
    )
    assert [item.place for item in found] == ['mmkd_sod/models/losses/a.py:2']


def test_an_import_beside_the_door_is_found(tree):
    found = beside_the_door(
        tree(
            {
                'models/acceleration/a.py': 'from . import b\n',
                'models/teachers/frozen_teacher.py': (
                    'from mmkd_sod.models.acceleration.a import x\n'
                ),
                'models/teachers/group.py': (
                    'def f():\n    from mmkd_sod.models import acceleration\n'
                ),
            }
        )
    )
    assert [item.place for item in found] == ['mmkd_sod/models/teachers/group.py:2']


def test_a_cycle_is_named(tree):
    found = cycle(
        tree(
            {
                'models/a.py': 'from .b import y\n',
                'models/b.py': 'import mmkd_sod.models.c\n',
                'models/c.py': 'from mmkd_sod.models.a import x\n',
            }
        )
    )
    assert found[0] == found[-1] and len(found) == 4
    assert {name[-1] for name in found} == {'a', 'b', 'c'}
    start = found.index('mmkd_sod.models.a')
    assert found[(start + 1) % 3] == 'mmkd_sod.models.b'


def test_a_lazy_import_closes_no_cycle(tree):
    assert (
        cycle(
            tree(
                {
                    'models/a.py': 'from .b import y\n',
                    'models/b.py': 'def f():\n    from .a import x\n',
                }
            )
        )
        == []
    )
    assert (
        cycle(
            tree(
                {
                    'models/a.py': 'from .b import y\n',
                    'models/b.py': (
                        'from typing import TYPE_CHECKING\n'
                        'if TYPE_CHECKING:\n    from .a import x\n'
                    ),
                }
            )
        )
        == []
    )


def test_a_submodule_that_reads_its_own_package_is_a_cycle(tree):
    assert cycle(
        tree(
            {
                'models/a.py': 'from mmkd_sod.models import x\n',
                'models/__init__.py': 'from .a import x\n',
            }
        )
    )
