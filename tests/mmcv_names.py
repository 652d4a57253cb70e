"""Names that mmcv's Python code uses of its compiled module."""

import ast
from pathlib import Path

import mmcv


def asked_operators() -> set:
    """Return the names that the files of mmcv/ops pass to ``load_ext``."""
    names = set()
    for path in (Path(mmcv.__path__[0]) / 'ops').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith('load_ext'):
                names.update(ast.literal_eval(node.args[1]))
    return names
