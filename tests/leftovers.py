"""Which files the test suite leaves in the checkout."""

import os
from pathlib import Path

# Caches of the tools, and folders that are not part of the checkout.
_SKIPPED = {'__pycache__', '.git', '.pytest_cache', '.mypy_cache', '.ruff_cache', '.hypothesis'}


def files_below(root: Path) -> set[str]:
    """Return the paths of all files below a folder, without caches and virtual environments."""
    found = set()
    for folder, names, files in os.walk(root):
        names[:] = [
            name
            for name in names
            if name not in _SKIPPED and not os.path.exists(os.path.join(folder, name, 'pyvenv.cfg'))
        ]
        found |= {os.path.relpath(os.path.join(folder, file), root) for file in files}
    # Coverage and pytest-xdist write these beside the suite.
    return {path for path in found if not os.path.basename(path).startswith('.coverage')}


def left_between(before: set[str], after: set[str]) -> list[str]:
    """Return the files that are new, without sources that somebody added beside others."""
    folders = {os.path.dirname(path) for path in before}
    return sorted(
        path
        for path in after - before
        if not (path.endswith(('.py', '.md')) and os.path.dirname(path) in folders)
    )
