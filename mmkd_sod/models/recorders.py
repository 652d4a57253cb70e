"""Context managers that record what happens inside a model and leave nothing behind."""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmkd_sod.errors import ConfigError

# What the recorders of one forward kept, by their names.
Record = dict[Any, Any]


class Recorder(ABC):
    """A context manager that yields a new container and fills it while the context is open.

    The caller owns the container: the recorder keeps no reference to it after the context.
    """

    @abstractmethod
    def __enter__(self) -> Any:
        """Start recording and return the container."""

    @abstractmethod
    def __exit__(self, *exc_info: object) -> None:
        """Remove every hook."""


@contextmanager
def recording(recorders: Mapping[Any, Recorder]) -> Iterator[Record]:
    """Open several recorders at once.

    Args:
        recorders (Mapping): Recorders by name.

    Yields:
        dict: The container of each recorder, by the same names.
    """
    with ExitStack() as stack:
        yield {name: stack.enter_context(recorder) for name, recorder in recorders.items()}


def check_gradient(name: str, module: nn.Module, where: str) -> None:
    """Refuse a record that has no gradient because of an activation checkpoint.

    Modules in eval mode, such as a teacher's, run without gradients on purpose.

    Args:
        name (str): Name of the module or of the record.
        module (nn.Module): The module that is running.
        where (str): ``'input'`` or ``'output'``.

    Raises:
        ConfigError: Gradients are off while the module is in training mode.
    """
    if module.training and not torch.is_grad_enabled():
        raise ConfigError(
            f"a recorder reads the {where} of '{name}' ({type(module).__name__}), which runs "
            'inside an activation checkpoint, where it has no gradient; set with_cp=False in that '
            'network, or record a module around the checkpoint'
        )


class ForwardRecorder(Recorder):
    """Record the inputs or outputs of modules, as ``{name: [record of a call, ...]}``.

    Forward hooks exist only inside the context. A module that runs once per pyramid level gives one
    record per level.

    Args:
        sources (dict): ``{name: (module, 'input' | 'output')}``; ``'input'`` records the first
            positional argument of the module's forward.
        reduce (Callable, optional): Applied to every recorded object at once, so that only the
            result is kept (for instance the channel statistics of a feature map).

    Raises:
        ConfigError: In a forward with gradients, when the module runs without them: it is inside an
            activation checkpoint (``with_cp=True``), which computes the gradients later, in a
            second forward, so that the record would have none.
    """

    def __init__(
        self, sources: dict[str, tuple[nn.Module, str]], reduce: Callable[[Any], Any] | None = None
    ) -> None:
        self.sources = sources
        self.reduce = reduce
        self._handles: list = []

    def _hook(self, name: str, calls: list, module: nn.Module, where: str):
        reduce = self.reduce or (lambda kept: kept)
        with_grad = torch.is_grad_enabled()

        def keep(value) -> None:
            if with_grad:
                check_gradient(name, module, where)
            calls.append(reduce(value))

        if where == 'input':
            return module.register_forward_pre_hook(lambda _, args: keep(args[0]))
        return module.register_forward_hook(lambda _, args, out: keep(out))

    def __enter__(self) -> dict[str, list]:
        data: dict[str, list] = {name: [] for name in self.sources}
        self._handles = [
            self._hook(name, data[name], *source) for name, source in self.sources.items()
        ]
        return data

    def __exit__(self, *exc_info: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []


class MethodRecorder(Recorder):
    """Record the calls of a method of one object, as ``[record of a call, ...]``.

    It also sees calls that bypass a module's hooks, such as ``head.forward(x)``.

    Args:
        owner (object): The object; other instances of its class are not touched.
        method (str): The method's name.
        reduce (Callable, optional): ``reduce(args, result)`` returns what is kept of a call.
            Default: the result.
    """

    def __init__(
        self, owner: object, method: str, reduce: Callable[[tuple, Any], Any] | None = None
    ) -> None:
        self.owner = owner
        self.method = method
        self.reduce = reduce or (lambda args, result: result)
        self._hidden: Callable | None = None

    def _kept(self, original: Callable, args: tuple, kwargs: dict, result: Any) -> Any:
        return self.reduce(args, result)

    def __enter__(self) -> list:
        data: list = []
        # Recorders nest: the instance attribute may be another recorder's wrapper.
        self._hidden = vars(self.owner).get(self.method)
        original = getattr(self.owner, self.method)

        @functools.wraps(original)  # whose signature a recorder inside this one reads
        def recorded(*args, **kwargs):
            result = original(*args, **kwargs)
            data.append(self._kept(original, args, kwargs, result))
            return result

        setattr(self.owner, self.method, recorded)
        return data

    def __exit__(self, *exc_info: object) -> None:
        if self._hidden is None:
            # The instance attribute hid the class's method; without it the method is back.
            delattr(self.owner, self.method)
        else:
            setattr(self.owner, self.method, self._hidden)
        self._hidden = None


@dataclass(frozen=True)
class Call:
    """A recorded call.

    Attributes:
        bound (BoundArguments): Its arguments by the names of the parameters.
        result (Any): What it returned.
    """

    bound: inspect.BoundArguments
    result: Any

    def __getitem__(self, name: str) -> Any:
        """Return the argument of a parameter."""
        return self.bound.arguments[name]

    def replay(self, function: Callable, replaced: Sequence[tuple[Any, Any]] = ()) -> Any:
        """Call a function with these arguments.

        Args:
            function (Callable): Has the same parameters as the recorded one.
            replaced (Sequence): Pairs (argument of the call, what the function gets for it);
                arguments are compared by identity.
        """

        def new(value: Any) -> Any:
            return next((other for old, other in replaced if value is old), value)

        args = [new(value) for value in self.bound.args]
        kwargs = {name: new(value) for name, value in self.bound.kwargs.items()}
        return function(*args, **kwargs)


class CallRecorder(MethodRecorder):
    """Record the calls of a method of one object with their arguments, as ``[Call, ...]``.

    Args:
        owner (object): The object; other instances of its class are not touched.
        method (str): The method's name.
    """

    def __init__(self, owner: object, method: str) -> None:
        super().__init__(owner, method)

    def _kept(self, original: Callable, args: tuple, kwargs: dict, result: Any) -> Call:
        return Call(inspect.signature(original).bind(*args, **kwargs), result)


@contextmanager
def hooks_fire(model: nn.Module) -> Iterator[None]:
    """Make ``head.forward(x)`` run the hooks of the head, as ``head(x)`` does.

    Segmentors, and detectors in mode ``'tensor'``, call ``forward`` directly, so that mmrazor's
    ``ModuleOutputs`` on a head would record nothing. Affects direct children that have hooks.
    """
    with ExitStack() as stack:
        for child in model.children():
            if child._forward_hooks or child._forward_pre_hooks:
                stack.enter_context(_forward_is_call(child))
        yield


@contextmanager
def _forward_is_call(module: nn.Module) -> Iterator[None]:
    hidden, original = vars(module).get('forward'), module.forward
    inside: list[bool] = []

    def forward(*args, **kwargs):
        return original(*args, **kwargs) if inside else module(*args, **kwargs)

    handles = [
        module.register_forward_pre_hook(lambda *_: inside.append(True), prepend=True),
        module.register_forward_hook(lambda *_: inside.clear(), always_call=True),
    ]
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
