"""Outside of compat/ the package assigns to nothing that another package brings."""

import ast

import pytest

import mmkd_sod

FILTERS = ('filterwarnings', 'simplefilter')
# What is made to be written to.
MEANT = {'os.environ'}


def foreign_names(tree: ast.AST) -> set:
    """Names that a module binds by importing them from another package."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [(alias.name, alias.asname) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [
                (f'{node.module}.{alias.name}', alias.asname or alias.name) for alias in node.names
            ]
        else:
            continue
        names |= {
            name or module.split('.')[0]
            for module, name in modules
            if module.split('.')[0] != 'mmkd_sod'
        }
    return names


def base(node: ast.AST) -> str:
    """The name that an expression of attributes and subscripts begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ''


def patches(source: str) -> list:
    """Lines that replace something of another package, as text."""
    tree, found = ast.parse(source), []
    foreign = foreign_names(tree)
    caught = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        if any('catch_warnings' in ast.unparse(item) for item in node.items)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        targets = (
            node.targets
            if isinstance(node, (ast.Assign, ast.Delete))
            else [node.target]
            if isinstance(node, (ast.AugAssign, ast.AnnAssign))
            else []
        )
        targets = [
            inner
            for target in targets
            for inner in (target.elts if isinstance(target, ast.Tuple) else [target])
            if isinstance(inner, (ast.Attribute, ast.Subscript))
            and ast.unparse(inner.value) not in MEANT
        ]
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ('setattr', 'delattr'):
                targets = node.args[:1]
            forced = (
                any(
                    word.arg == 'force' and ast.unparse(word.value) == 'True'
                    for word in node.keywords
                )
                and 'register' in name
            )
            if forced or (name.split('.')[-1] in FILTERS and id(node) not in caught):
                found.append(ast.unparse(node))
        if any(base(target) in foreign for target in targets):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    'source',
    [
        'import torch\ntorch.nn.Conv2d.forward = 1',
        'import torch.nn as n\nn.Conv2d = 1',
        'from mmdet.models import GFL\nclass A:\n    def f(self):\n        GFL.loss = self.f',
        'from a import TABLE\nTABLE["x"] = 1',
        'from a import b\nsetattr(b, "x", 1)',
        'from a import b\ndel b.x',
        'import a\nx, a.y = 1, 2',
        'import a\na.y += 1',
        'from a import L\nL.register_scheme("", f, force=True)',
        'import warnings\nwarnings.simplefilter("ignore")',
    ],
)
def test_patches_are_seen(source):
    assert len(patches(source)) == 1


@pytest.mark.parametrize(
    'source',
    [
        'import os\nos.environ["X"] = "1"',
        'from mmkd_sod.a import B\nB.x = 1',
        'from .a import B\nB.x = 1',
        'import torch\nx = torch.ones(1)\nx[0] = 1\nx.grad = None',
        'import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter("ignore")',
    ],
)
def test_what_is_no_patch_passes(source):
    assert patches(source) == []


def test_nothing_but_compat_patches(root):
    files = [
        path
        for path in (root / 'mmkd_sod').rglob('*.py')
        if path.relative_to(root).parts[1] != 'compat'
    ]
    assert len(files) > 100 and mmkd_sod.__file__ in map(str, files)
    found = {
        str(path.relative_to(root)): patches(path.read_text(encoding='utf-8')) for path in files
    }
    assert not {path: lines for path, lines in found.items() if lines}
