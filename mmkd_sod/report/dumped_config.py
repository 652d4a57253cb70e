"""Reading the config that mmengine dumped into a run's folder, without executing it."""

import ast
from pathlib import Path

from mmengine.config import Config

from mmkd_sod.errors import DataError

_NAMES = dict(inf=float('inf'), nan=float('nan'))


class _Literals(ast.NodeTransformer):
    """Turns ``dict(...)``, ``inf`` and ``nan``, as ``Config.dump`` writes them, into literals."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_NAMES[node.id]) if node.id in _NAMES else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        first = node.args[0] if node.args else ast.Dict([], [])
        named = all(keyword.arg for keyword in node.keywords)
        if (
            not (isinstance(node.func, ast.Name) and node.func.id == 'dict' and named)
            or len(node.args) > 1
            or not isinstance(first, ast.Dict)
        ):
            return node
        keys: list = [ast.Constant(keyword.arg) for keyword in node.keywords]
        return ast.Dict(first.keys + keys, first.values + [one.value for one in node.keywords])


def _value(node: ast.expr):
    """Return the value of an expression of literals and ``dict(...)``."""
    line = node.lineno
    try:
        return ast.literal_eval(_Literals().visit(node))
    except (ValueError, TypeError):
        raise ValueError(f'line {line} is not a plain value') from None


def read_dumped_config(path: Path) -> Config:
    """Return a dumped config.

    Args:
        path (Path): A file of assignments of literals and ``dict(...)``, as ``Config.dump`` writes
            it.

    Raises:
        DataError: The file cannot be read or holds anything else; nothing was executed.
    """
    try:
        content = {}
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                raise ValueError(f'line {node.lineno} is not an assignment')
            content[node.targets[0].id] = _value(node.value)
        return Config(content, filename=str(path))
    # Of hostile text the parser raises many kinds, RecursionError and MemoryError among them.
    except Exception as error:
        reason = getattr(error, 'strerror', None) or f'{type(error).__name__}: {error}'
        raise DataError(
            f"config '{path}' cannot be read as plain values ({reason}), and it is not executed; "
            'restore the dumped config'
        ) from None
