"""A GPU that is not there: real values on the CPU, with a GPU's rules and costs.

Tensors on the fake device say that they are on ``cuda:0`` and hold their values on the CPU. As on a
GPU, an operator refuses tensors of the host, and what makes the host wait for the device is
counted, as ``torch.cuda.set_sync_debug_mode`` would report it.
"""

import copy
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device('cuda', 0)
# How C++ sees these tensors: the one kind of device without memory.
_INNER = torch.device('meta')

# Operators whose result the host has to read before it can go on.
_READS = frozenset(
    'aten::' + name
    for name in (
        '_local_scalar_dense',
        '_unique',
        '_unique2',
        'bincount',
        'equal',
        'masked_select',
        'nonzero',
        'unique_consecutive',
        'unique_dim',
        'unique_dim_consecutive',
    )
)
_REPEAT = torch.ops.aten.repeat_interleave.Tensor
_INDEXING = frozenset(
    'aten::' + name
    for name in ('index', 'index_put', 'index_put_', '_index_put_impl_', '_unsafe_index')
)
# Views and metadata, which start no kernel.
_VIEWS = frozenset(
    'aten::' + name
    for name in (
        '_reshape_alias',
        '_unsafe_view',
        'alias',
        'as_strided',
        'detach',
        'diagonal',
        'expand',
        'lift_fresh',
        'permute',
        'select',
        'slice',
        'split',
        'split_with_sizes',
        'squeeze',
        't',
        'transpose',
        'unbind',
        'unfold',
        'unsqueeze',
        'view',
    )
)
_COLLECTIVES = ('all_gather', 'all_gather_into_tensor', 'all_reduce', 'broadcast', 'reduce')


class DeviceError(RuntimeError):
    """An operator got tensors of the host and of the device, which fails on a GPU."""


class DeviceTensor(Tensor):
    """A tensor on the fake device, whose values are ``held``, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> 'DeviceTensor':
        """Put the values of a CPU tensor on the fake device."""
        made = Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
            device=_INNER,
            requires_grad=False,
        )
        made.held = values.detach()
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    device = property(lambda self: DEVICE)
    is_cuda = property(lambda self: True)
    is_cpu = is_meta = property(lambda self: False)

    def __repr__(self, **_) -> str:  # type: ignore[override]
        return f'DeviceTensor({self.held})'

    def get_device(self) -> int:
        """Return the index of the device."""
        return 0

    def __deepcopy__(self, memo) -> Tensor:
        copied = self.detach().clone().requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied, self.requires_grad)
        memo[id(self)] = copied
        return copied

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        """Refuse operators outside of a ``FakeDevice``."""
        raise DeviceError(f'{func} on the fake device outside of its context')


def _is_device(value: Any) -> bool:
    if isinstance(value, str):
        return value.split(':')[0] == DEVICE.type
    return isinstance(value, torch.device) and value.type in (DEVICE.type, _INNER.type)


def _values(value: Any) -> Any:
    return value.held if isinstance(value, DeviceTensor) else value


def _place() -> str:
    """Return file and line of the innermost code outside of torch and of this file."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = frame.f_code.co_filename
        if name != __file__ and f'{os.sep}torch{os.sep}' not in name:
            break
        frame = frame.f_back
    parts = Path(frame.f_code.co_filename).parts
    return f'{"/".join(parts[-4:])}:{frame.f_lineno}'


def _tensors(*values) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(values)[0] if isinstance(leaf, Tensor)]


class FakeDevice:
    """A context in which ``'cuda'`` is the fake device; counts what happens on it.

    Attributes:
        kernels (Counter): Operators that start a kernel, by name.
        syncs (Counter): Host synchronisations, by cause.
        places (Counter): The same by file and line, of the innermost code outside of torch.
        collectives (Counter): Collectives, by name.

    Args:
        ranks (int): Number of ranks that the process seems to have; the others compute the same.
        strict (bool): Raise at the first host synchronisation instead of counting it.
    """

    def __init__(self, ranks: int = 1, strict: bool = False) -> None:
        self.ranks = ranks
        self.strict = strict
        self.kernels: Counter = Counter()
        self.syncs: Counter = Counter()
        self.places: Counter = Counter()
        self.collectives: Counter = Counter()
        self._stack = ExitStack()

    def __enter__(self) -> 'FakeDevice':
        self._stack = ExitStack()
        self._stack.enter_context(_extensions(self))
        for patch in _patches(self):
            self._stack.enter_context(patch)
        self._stack.enter_context(_Calls(self))
        self._stack.enter_context(_Operators(self))
        return self

    def __exit__(self, *exc_info) -> None:
        self._stack.close()

    def forget(self) -> None:
        """Set all counts to 0."""
        for counter in (self.kernels, self.syncs, self.places, self.collectives):
            counter.clear()

    def synchronised(self, cause: str) -> None:
        """Count a host synchronisation.

        Raises:
            DeviceError: The device is strict.
        """
        if self.strict:
            raise DeviceError(f'the host waits for the device: {cause}')
        self.syncs[cause] += 1
        self.places[_place()] += 1


class _Operators(TorchDispatchMode):
    """Runs operators on the values and counts them."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self.owner = device

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name
        leaves = _tensors(args, kwargs)
        on_device = [leaf for leaf in leaves if isinstance(leaf, DeviceTensor)]
        target = kwargs.get('device')
        made_here = target is not None and torch.device(target).type == _INNER.type
        if name in ('aten::_to_copy', 'aten::_pin_memory', 'aten::is_pinned'):
            return self._moved(func, name, args, kwargs, bool(on_device), made_here)
        if not on_device and not made_here:
            return func(*args, **kwargs)
        if name in ('aten::copy_', 'aten::set_') and len(on_device) < len(leaves):
            source = 'of the host' if isinstance(args[0], DeviceTensor) else 'of the device'
            if not (len(args) > 2 and args[2]):
                self.owner.synchronised(f'copy_ {source}')
        else:
            self._refuse_mixed(name, leaves)
        self._count(func, name, args, kwargs)
        if made_here:
            kwargs['device'] = torch.device('cpu')
        elif target is not None:
            # Results of device tensors asked for on the host.
            return func(*tree_map(_values, args), **tree_map(_values, kwargs))
        found = func(*tree_map(_values, args), **tree_map(_values, kwargs))
        return self._wrapped(func, found, args, kwargs)

    def _moved(self, func, name, args, kwargs, from_device: bool, made_here: bool):
        if name != 'aten::_to_copy':
            return func(*tree_map(_values, args), **kwargs)
        target = kwargs.get('device')
        to_device = made_here or (target is None and from_device)
        waits = not kwargs.get('non_blocking')
        # A copy from pageable memory waits even if it is asked not to.
        if from_device != to_device and (
            waits or not (from_device or hasattr(args[0], 'pinned_here'))
        ):
            self.owner.synchronised('to the host' if from_device else 'to the device')
        if to_device or from_device:
            self.owner.kernels['aten::_to_copy'] += 1
        if target is not None:
            kwargs = dict(kwargs, device=torch.device('cpu'))
        found = func(_values(args[0]), *args[1:], **kwargs)
        return DeviceTensor(found) if to_device else found

    def _refuse_mixed(self, name: str, leaves: list[Tensor]) -> None:
        """Refuse tensors of the host beside tensors of the device, as a GPU does."""
        for index, leaf in enumerate(leaves):
            if isinstance(leaf, DeviceTensor):
                continue
            if name in _INDEXING and index:
                self.owner.synchronised(f'{name.removeprefix("aten::")} by a tensor of the host')
            elif leaf.dim():
                raise DeviceError(
                    f'{name} got tensors on {DEVICE} and a tensor {tuple(leaf.shape)} on the CPU; '
                    'all must be on one device'
                )

    def _count(self, func, name: str, args: tuple, kwargs: dict) -> None:
        short = name.removeprefix('aten::')
        if name in _READS or (func is _REPEAT and kwargs.get('output_size') is None):
            self.owner.synchronised(short)
        elif name in _INDEXING and _reads_mask(name, args):
            self.owner.synchronised(f'{short} by a mask')
        if name not in _VIEWS:
            self.owner.kernels[name] += 1

    @staticmethod
    def _wrapped(func, found, args, kwargs):
        """Put results on the device; results that are arguments stay these objects."""
        ours = {id(_values(leaf)): leaf for leaf in _tensors(args, kwargs)}

        def wrap(value):
            if not isinstance(value, Tensor):
                return value
            return ours.get(id(value)) if id(value) in ours else DeviceTensor(value)

        return tree_map(wrap, found)


def _reads_mask(name: str, args: tuple) -> bool:
    """Whether an indexing by a mask has to find the rows of the mask first."""
    masks = [
        leaf for leaf in _tensors(args[1]) if leaf.dtype in (torch.bool, torch.uint8) and leaf.dim()
    ]
    if 'put' not in name or not masks:
        return bool(masks)
    return args[2].dim() > 0  # a scalar is filled in without


class _Calls(TorchFunctionMode):
    """Replaces the device in calls of torch, whose C++ would initialise CUDA."""

    def __init__(self, device: FakeDevice) -> None:
        super().__init__()
        self.owner = device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.device:
            return func(*args, **kwargs)
        if func is Tensor.pin_memory:
            pinned = args[0].detach()
            pinned.pinned_here = True
            return pinned
        if func is Tensor.cuda:
            return args[0].to(_INNER)
        if func in (Tensor.tolist, Tensor.numpy, Tensor.__array__) and isinstance(
            args[0], DeviceTensor
        ):
            self.owner.synchronised(func.__name__)
            return func(args[0].held, *args[1:], **kwargs)
        if func in (Tensor.__getitem__, Tensor.__setitem__) and isinstance(args[0], DeviceTensor):
            args = (args[0], self._index(args[1]), *args[2:])
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor):
            made = self._uploaded(func, args, kwargs)
            if made is not None:
                return made
        args = tree_map(lambda v: _INNER if _is_device(v) else v, args)
        kwargs = tree_map(lambda v: _INNER if _is_device(v) else v, kwargs)
        return func(*args, **kwargs)

    def _index(self, index):
        """Return an index in which lists are tensors of the device, to which torch copies them."""
        if isinstance(index, tuple):
            return tuple(self._index(part) for part in index)
        if not isinstance(index, list):
            return index
        self.owner.synchronised('index by a list')
        return DeviceTensor(torch.tensor(index))

    def _uploaded(self, func, args, kwargs) -> Tensor | None:
        """Return a tensor made from numbers of the host, which is a copy to the device."""
        target = kwargs.get('device')
        if func is Tensor.new_tensor:
            here = target is None and isinstance(args[0], DeviceTensor)
            data = args[1] if len(args) > 1 else kwargs['data']
        else:
            here, data = False, args[0] if args else kwargs['data']
        if not (here or _is_device(target)) or isinstance(data, Tensor):
            return None
        # Numbers on the device are read one by one.
        data = tree_map(lambda v: v.item() if isinstance(v, Tensor) else v, data)
        dtype = kwargs.get('dtype')
        if dtype is None and func is Tensor.new_tensor:
            dtype = args[0].dtype
        self.owner.synchronised(f'{func.__name__} of numbers of the host')
        self.owner.kernels['aten::_to_copy'] += 1
        made = torch.tensor(data, dtype=dtype)
        made = DeviceTensor(made)
        return made.requires_grad_() if kwargs.get('requires_grad') else made


def _patches(device: FakeDevice) -> Iterator:
    """Yield what replaces parts of torch that no mode sees."""
    original = torch.Generator

    def generator(device=None):
        return original('cpu' if device is not None and _is_device(device) else device or 'cpu')

    yield mock.patch.object(torch, 'Generator', generator)
    if device.ranks == 1:
        return
    dist = torch.distributed
    yield mock.patch.object(dist, 'is_initialized', lambda: True)
    yield mock.patch.object(dist, 'get_world_size', lambda group=None: device.ranks)
    yield mock.patch.object(dist, 'get_rank', lambda group=None: 0)
    yield mock.patch.object(dist, 'get_backend', lambda group=None: 'nccl')
    yield mock.patch.object(dist.distributed_c10d, '_get_default_group', lambda: None)
    yield mock.patch.object(torch.cuda, 'current_device', lambda: 0)
    for name in _COLLECTIVES:
        yield mock.patch.object(dist, name, _collective(device, name))


def _collective(device: FakeDevice, name: str) -> Callable:
    """Return a collective among ranks that all hold the same values."""

    def run(output, value=None, *args, **kwargs):
        device.collectives[name] += 1
        if name == 'all_gather':
            for part in output:
                part.copy_(value)
        elif name == 'all_gather_into_tensor':
            output.copy_(torch.cat([value] * device.ranks).view(output.shape))
        elif name == 'all_reduce':
            op = value if value is not None else kwargs.get('op', torch.distributed.ReduceOp.SUM)
            if op == torch.distributed.ReduceOp.SUM:
                output.mul_(device.ranks)

    return run


@contextmanager
def _extensions(device: FakeDevice) -> Iterator[None]:
    """Let the operators of mmcv's extension module run on the values, as one kernel each."""
    users = [
        module
        for name, module in sys.modules.items()
        if name.startswith('mmcv.ops.') and hasattr(module, 'ext_module')
    ]
    before = [vars(module)['ext_module'] for module in users]
    for module, extension in zip(users, before, strict=True):
        vars(module)['ext_module'] = _Extension(extension, device)
    try:
        yield
    finally:
        for module, extension in zip(users, before, strict=True):
            vars(module)['ext_module'] = extension


class _Extension:
    """Stands for an extension module whose functions take tensors of the device."""

    def __init__(self, module, device: FakeDevice) -> None:
        self._module, self._device = module, device

    def __getattr__(self, name: str) -> Callable:
        function = getattr(self._module, name)

        def run(*args, **kwargs):
            leaves = _tensors(args, kwargs)
            on_device = any(isinstance(leaf, DeviceTensor) for leaf in leaves)
            if on_device:
                self._device.kernels[f'mmcv::{name}'] += 1
            with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
                found = function(*tree_map(_values, args), **tree_map(_values, kwargs))
            if not on_device:
                return found
            return tree_map(lambda v: DeviceTensor(v) if isinstance(v, Tensor) else v, found)

        return run


def training_step(model: BaseModel, batch: dict, device: FakeDevice) -> None:
    """Count what one training step costs, without preprocessing and update, after one to warm up.

    Args:
        model (BaseModel): A detector, a segmentor or ``DenseDistill``; stays on the device.
        batch (dict): Batch of a data loader; not changed.
        device (FakeDevice): An open context; its counts become those of the step.
    """
    model.to(DEVICE)
    model.train()
    for _ in range(2):
        data = model.data_preprocessor(copy.deepcopy(batch), training=True)
        device.forget()
        total, _ = model.parse_losses(model(**data, mode='loss'))
        total.backward()
