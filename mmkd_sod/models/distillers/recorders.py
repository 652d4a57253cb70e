"""Context managers that read what happens inside a model, and leave nothing behind."""
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn


@contextmanager
def hooks_fire(model: nn.Module) -> Iterator[None]:
    """Let the hooks of a model's parts see their calls, also those that pass them by.

    Segmentors, and detectors in mode 'tensor', call ``head.forward(x)``, so that a recorder of
    mmrazor's on the head would record nothing. Touches the direct children that have hooks.
    """
    with ExitStack() as stack:
        for child in model.children():
            if child._forward_hooks or child._forward_pre_hooks:
                stack.enter_context(_forward_is_call(child))
        yield


@contextmanager
def _forward_is_call(module: nn.Module) -> Iterator[None]:
    hidden, original, inside = vars(module).get('forward'), module.forward, []

    def forward(*args, **kwargs):
        return original(*args, **kwargs) if inside else module(*args, **kwargs)

    handles = [
        module.register_forward_pre_hook(lambda *_: inside.append(True), prepend=True),
        module.register_forward_hook(lambda *_: inside.clear(), always_call=True)]
    module.forward = forward
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        if hidden is None:
            del module.forward
        else:
            module.forward = hidden


class ForwardRecorder:
    """Records what modules take in or give out while the context is open.

    Hooks are there only inside the context. Unlike mmrazor's recorders, nothing is kept after
    :meth:`clear`, and one step's data never reaches the next: entering the context clears too.

    Args:
        sources (dict): ``{name: (module, 'input' | 'output')}``; ``'input'`` records the first
            positional argument of the module's forward.
        reduce (Callable, optional): Applied to every recorded object at once, so that only its
            result is kept (for instance a feature's channel statistics).

    Attributes:
        data (dict): ``{name: [record, ...]}``, one record a call of the module, in order.
    """

    def __init__(self,
                 sources: dict[str, tuple[nn.Module, str]],
                 reduce: Callable[[Any], Any] | None = None) -> None:
        self.sources = sources
        self.reduce = reduce
        self.data: dict[str, list] = {}
        self._handles: list = []

    def _keep(self, name: str, record: Any) -> None:
        self.data[name].append(record if self.reduce is None else self.reduce(record))

    def _hook(self, name: str, module: nn.Module, where: str):
        if where == 'input':
            return module.register_forward_pre_hook(lambda _, args: self._keep(name, args[0]))
        return module.register_forward_hook(lambda _, args, out: self._keep(name, out))

    def __enter__(self) -> 'ForwardRecorder':
        self.clear()
        self._handles = [self._hook(name, *source) for name, source in self.sources.items()]
        return self

    def __exit__(self, *exc_info) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def clear(self) -> None:
        """Forget what was recorded."""
        self.data = {name: [] for name in self.sources}


class MethodRecorder:
    """Records the calls of a method of one object while the context is open.

    It also sees calls that pass by a module's hooks, such as ``head.forward(x)``.

    Args:
        owner (object): The object; other instances of its class are not touched.
        method (str): The method's name.
        reduce (Callable, optional): ``reduce(args, result)`` says what is kept of a call. Default:
            the result.

    Attributes:
        data (list): What was kept of each call, in order.
    """

    def __init__(self,
                 owner: object,
                 method: str,
                 reduce: Callable[[tuple, Any], Any] | None = None) -> None:
        self.owner = owner
        self.method = method
        self.reduce = reduce or (lambda args, result: result)
        self.data: list = []
        self._hidden: Callable | None = None

    def __enter__(self) -> 'MethodRecorder':
        self.clear()
        # Recorders nest: the instance attribute that is there may be another recorder's.
        self._hidden = vars(self.owner).get(self.method)
        original = getattr(self.owner, self.method)

        def recorded(*args, **kwargs):
            result = original(*args, **kwargs)
            self.data.append(self.reduce(args, result))
            return result

        setattr(self.owner, self.method, recorded)
        return self

    def __exit__(self, *exc_info) -> None:
        if self._hidden is None:
            # The instance attribute hid the class's method; without it the method is back.
            delattr(self.owner, self.method)
        else:
            setattr(self.owner, self.method, self._hidden)
        self._hidden = None

    def clear(self) -> None:
        """Forget what was recorded."""
        self.data = []
