"""Hiding modules as if their files did not exist."""


class HiddenModules:
    """Import hook that refuses the given modules; first in ``sys.meta_path``."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name in self.names:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
