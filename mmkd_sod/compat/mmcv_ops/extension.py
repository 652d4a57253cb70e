"""The module ``mmcv._ext`` for an mmcv that comes without it, or whose own does not load.

mmcv's Python code imports its compiled operators as ``mmcv._ext`` and asks for each by its name
when ``mmcv.ops`` is imported. A compiled module that loads is always used.
"""

import ctypes
import importlib
import importlib.abc
import importlib.util
import sys
import types
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder

from mmkd_sod.errors import InstallationError

NAME = 'mmcv._ext'
# Modules of this package with a dict OPERATORS.
FAMILIES = (
    'bbox',
    'border_align',
    'carafe',
    'deform_conv',
    'deform_roi_pool',
    'focal_loss',
    'masked_conv',
    'modulated_deform_conv',
    'ms_deform_attn',
    'nms',
    'polygons',
    'psa_mask',
    'roi_align',
    'roi_align_rotated',
    'roi_pool',
    'sync_bn',
)
# Of mmcv and mmcv-lite: mmrazor refuses any above, and torch those below when they are built.
VERSION = '2.1.0'
# How to get the compiled operators.
REMEDY = f"uninstall mmcv-lite and build mmcv {VERSION} ('make install OPS=compiled')"


def missing_operator(name: str) -> Callable:
    """Return a function that raises an ``InstallationError`` which names the operator."""

    def operator(*args, **kwargs):
        raise InstallationError(
            f"mmcv's operator '{name}' was called, which mmkd_sod does not have in plain torch; it "
            f'needs a compiled mmcv; {REMEDY}'
        )

    operator.__name__ = operator.__qualname__ = name
    return operator


class PlainExtension(types.ModuleType):
    """Stands in for ``mmcv._ext``; operators it lacks raise when they are called."""

    def __getattr__(self, name: str):
        # mmcv asserts on import that each of its operators is there.
        if name.startswith('_'):
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        operator = missing_operator(name)
        setattr(self, name, operator)
        return operator


class _Loader(importlib.abc.Loader):
    def create_module(self, spec: ModuleSpec) -> PlainExtension:
        return PlainExtension(spec.name, "mmcv's operators in plain torch, of mmkd_sod.")

    def exec_module(self, module: types.ModuleType) -> None:
        for family in FAMILIES:
            found = importlib.import_module(f'{__package__}.{family}')
            vars(module).update(found.OPERATORS)


class _Finder(importlib.abc.MetaPathFinder):
    @staticmethod
    def find_spec(fullname, path=None, target=None) -> ModuleSpec | None:
        return None if fullname != NAME else extension_spec(path)


def extension_spec(path) -> ModuleSpec:
    """Return the spec of ``mmcv._ext``: of the compiled module if it loads, else the plain one.

    Args:
        path (list[str], optional): Folders of the package ``mmcv``.
    """
    compiled = PathFinder.find_spec(NAME, path)
    if compiled is not None:
        try:
            # Kept open, so that the import which follows takes no time.
            ctypes.CDLL(compiled.origin)
        except OSError as error:
            warnings.warn(
                f"mmcv's compiled operators do not load ({' '.join(str(error).split())}); they "
                'were built for another torch; the operators of mmkd_sod in plain torch are used '
                "until mmcv is built anew ('make install OPS=compiled')",
                stacklevel=2,
            )
        else:
            return compiled
    return ModuleSpec(NAME, _Loader(), origin='mmkd_sod')


def offer() -> None:
    """Let ``import mmcv._ext`` find the plain operators where there are no compiled ones."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def require_mmcv() -> None:
    """Check that there is an mmcv, without importing it.

    Raises:
        InstallationError: There is none.
    """
    if importlib.util.find_spec('mmcv') is None:
        raise InstallationError(
            'mmcv is not installed; mmkd_sod needs mmcv-lite or a compiled mmcv; run '
            f"'pip install mmcv-lite=={VERSION}'"
        )


def operators_in_use() -> str | None:
    """Return ``'compiled'`` or ``'plain torch'``; None without any mmcv."""
    if importlib.util.find_spec('mmcv') is None:
        return None
    spec = importlib.util.find_spec(NAME)
    return 'compiled' if spec is not None and spec.origin != 'mmkd_sod' else 'plain torch'
