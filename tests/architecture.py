"""Imports between the modules of a package, and the layers that they have to respect."""

import ast
import graphlib
from dataclasses import dataclass
from pathlib import Path

# For a package, its modules and packages from top to bottom: each imports from lower lines only,
# never from its own line or above.
LAYERS = {
    'mmkd_sod': (
        ('__main__',),
        ('cli',),
        ('doctor', 'report', 'deployment', 'apis'),
        ('engine',),
        ('datasets',),
        ('models', 'visualization', 'evaluation'),
        ('compat',),
        ('utils',),
        ('registry', 'errors', 'version'),
    ),
    'mmkd_sod.models': (
        ('algorithms', 'saliency_inferencer'),
        ('teachers', 'student'),
        ('distillers',),
        ('task_modules',),
        ('losses', 'acceleration', 'backbones', 'decode_heads', 'segmentors', 'data_preprocessors'),
        ('builder', 'saliency'),
        ('valid_region',),
        ('submodules', 'recorders'),
    ),
}
# Packages that one module alone imports, so that the rest works without them.
ONLY_FROM = {'mmkd_sod.models.acceleration': 'mmkd_sod.models.teachers.frozen_teacher'}
# Material for tests and tools: it may import anything, and nothing of the package imports it.
TEST_MATERIAL = 'testing'


@dataclass(frozen=True)
class Import:
    """One import of a module of the package, wherever it stands in its file.

    Attributes:
        source (str): Module that imports, for example ``mmkd_sod.engine.checks``.
        target (str): Module or package that is imported.
        place (str): ``path:line`` of the statement.
        lazy (bool): Whether it runs inside a function, or for type checkers only.
    """

    source: str
    target: str
    place: str
    lazy: bool

    def __str__(self) -> str:
        return f'{self.place}: {self.source} imports {self.target}'


def part(module: str, package: str = 'mmkd_sod') -> str:
    """First name below the package: ``engine`` of ``mmkd_sod.engine.checks``; '' of others."""
    inside = module.startswith(f'{package}.')
    return module.removeprefix(f'{package}.').partition('.')[0] if inside else ''


class _Collector(ast.NodeVisitor):
    def __init__(self, module: str, package: str, path: str, known: set):
        self.module, self.package, self.path, self.known = module, package, path, known
        self.lazy = False
        self.found: list[Import] = []

    def add(self, target: str, line: int) -> None:
        root = self.module.partition('.')[0]
        if target.partition('.')[0] == root:
            self.found.append(Import(self.module, target, f'{self.path}:{line}', self.lazy))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ''
        if node.level:
            parents = self.package.split('.')
            parents = parents[: len(parents) - node.level + 1]
            base = '.'.join([*parents, base] if base else parents)
        for alias in node.names:
            name = f'{base}.{alias.name}'
            self.add(name if name in self.known else base, node.lineno)

    def visit_lazily(self, nodes: list) -> None:
        before, self.lazy = self.lazy, True
        for node in nodes:
            self.visit(node)
        self.lazy = before

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.visit_lazily(node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if 'TYPE_CHECKING' in ast.unparse(node.test):
            self.visit_lazily(node.body)
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)


def read_imports(package: Path) -> list[Import]:
    """Return the imports among the modules of the package in a folder, in file order."""
    modules = {}
    for path in sorted(package.rglob('*.py')):
        names = path.relative_to(package.parent).with_suffix('').parts
        is_package = names[-1] == '__init__'
        name = '.'.join(names[:-1] if is_package else names)
        modules[name] = (path, name if is_package else '.'.join(names[:-1]))
    found = []
    for name, (path, parent) in modules.items():
        where = path.relative_to(package.parent).as_posix()
        collector = _Collector(name, parent, where, set(modules))
        collector.visit(ast.parse(path.read_text(encoding='utf-8')))
        found += collector.found
    return found


def upward(imports: list[Import], package: str = 'mmkd_sod') -> list[Import]:
    """Return imports against the order of a package in ``LAYERS``.

    An import of test material is one, and so is one of a part that has no layer.
    """
    level = {name: number for number, line in enumerate(LAYERS[package]) for name in line}
    wrong = []
    for item in imports:
        source, target = part(item.source, package), part(item.target, package)
        if source in ('', TEST_MATERIAL) or source == target:
            # A package's own `__init__` imports what it offers.
            continue
        if not target and item.target != package:
            continue
        if source not in level or target not in level or level[target] <= level[source]:
            wrong.append(item)
    return wrong


def beside_the_door(imports: list[Import]) -> list[Import]:
    """Return imports of a package in ``ONLY_FROM`` by another module than the one named."""
    return [
        item
        for item in imports
        for package, module in ONLY_FROM.items()
        if f'{item.target}.'.startswith(f'{package}.')
        and item.source != module
        and not f'{item.source}.'.startswith(f'{package}.')
    ]


def cycle(imports: list[Import]) -> list[str]:
    """Return the modules of one import cycle, first and last alike; empty where there is none.

    Imports inside functions are left out: they run after the modules are loaded.
    """
    graph: dict[str, set] = {}
    for item in imports:
        if not item.lazy and item.source != item.target:
            graph.setdefault(item.source, set()).add(item.target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1][::-1]
    return []
