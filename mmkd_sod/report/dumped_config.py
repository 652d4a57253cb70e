"""Reading the config that mmengine dumped into a run's folder, without executing it."""

import ast
from pathlib import Path

from mmengine.config import Config

from mmkd_sod.errors import DataError

_NAMES = dict(inf=float('inf'), nan=float('nan'))


def _value(node: ast.expr):
    """Return the value of an expression of literals and ``dict(...)``."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Set):
        return {_value(item) for item in node.elts}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        if isinstance(value, (int, float)):
            return -value
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == 'dict'
        and all(isinstance(arg, ast.Dict) for arg in node.args[:1])
        and len(node.args) < 2
        and all(keyword.arg for keyword in node.keywords)
    ):
        first = _value(node.args[0]) if node.args else {}
        return first | {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    raise ValueError(f'line {node.lineno} is not a plain value')


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
