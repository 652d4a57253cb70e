"""Code that runs around the import of a module, without importing it now."""

import importlib.abc
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager

Around = Callable[[], AbstractContextManager]


class _Loader(importlib.abc.Loader):
    """Executes a module within contexts; everything else is delegated to the original loader."""

    def __init__(self, loader, contexts: list[Around]) -> None:
        self._loader, self._contexts = loader, contexts

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module) -> None:
        # The module and readers of its resources or source see the original loader.
        module.__spec__.loader = module.__loader__ = self._loader
        with ExitStack() as stack:
            for context in self._contexts:
                stack.enter_context(context())
            self._loader.exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules that are waited for, through the other finders."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Around]] = {}

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in self.waiting:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, 'find_spec'):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self.waiting[fullname])
                return spec
        return None


_finder = _Finder()


def around_import(module: str, context: Around) -> None:
    """Enter a context while a module's own code runs for the first time.

    Nothing happens where the module has been imported already.

    Args:
        module (str): Its full name.
        context (Callable): Returns the context manager.
    """
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.waiting.setdefault(module, []).append(context)


def after_import(module: str, function: Callable[[], None]) -> None:
    """Call a function once a module is imported; at once where it is already.

    Args:
        module (str): Its full name.
        function (Callable): Takes nothing.
    """
    if module in sys.modules:
        function()
        return

    @contextmanager
    def then():
        yield
        function()

    around_import(module, then)
