"""``mmengine.load`` runs code that annotation files contain.

It unpickles ``.pkl`` freely and reads YAML with a loader that calls what the file names. Data
sets, ``proposal_file``, OpenImages' meta file and metrics read their files with it, from the disk
or an address. The handlers of pickles and YAML now read plain data only, and all handlers report
what they cannot read in one sentence. What mmengine pickles for itself, such as results that
processes exchange, does not pass through these handlers.
"""

import functools
import io
import sys
from typing import Any, ClassVar

import torch
import yaml

from mmkd_sod.errors import DataError
from mmkd_sod.utils.array_pickle import ALLOWED, ArrayUnpickler
from mmkd_sod.utils.files import check_regular

from .entry import Entry


class PlainYaml(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, with the tuples that mmengine's own ``dump`` writes."""


PlainYaml.add_constructor(
    'tag:yaml.org,2002:python/tuple', lambda loader, node: tuple(loader.construct_sequence(node))
)


def _storage(content: bytes):
    """Replace torch's ``_load_from_bytes``, which unpickles freely."""
    return torch.load(io.BytesIO(content), weights_only=True)


class ResultUnpickler(ArrayUnpickler):
    """Also reads what mmdet dumps: tensors on the CPU, and ``InstanceData`` of them."""

    names: ClassVar[dict[str, Any]] = {
        **ALLOWED,
        'builtins.set': set,
        '__builtin__.set': set,
        'torch.storage._load_from_bytes': _storage,
        'torch._utils._rebuild_tensor_v2': torch._utils._rebuild_tensor_v2,
    }

    def find_class(self, module: str, name: str):
        """Return the replacement of an allowed name; raise UnpicklingError for others."""
        if (module, name) == ('mmengine.structures.instance_data', 'InstanceData'):
            from mmengine.structures import InstanceData

            return InstanceData
        return super().find_class(module, name)


def _source() -> str:
    """Return the file that ``mmengine.load`` reads, which the handlers are not told."""
    from mmengine.fileio import load

    frame = sys._getframe()
    while frame is not None and frame.f_code is not load.__code__:
        frame = frame.f_back  # type: ignore[assignment]
    name = None if frame is None else frame.f_locals['file']
    return f"annotation file '{name}'" if isinstance(name, str) else 'annotation file'


def _load_pickle(self, file, **kwargs):
    """Unpickle plain containers, numbers, arrays and tensors."""
    try:
        return ResultUnpickler(file, **kwargs).load()
    # A damaged or malicious pickle may fail in any way; none of its code has run.
    except Exception as error:
        raise DataError(
            f'{_source()} is not a pickle of plain data and arrays ({error}), and no code in it '
            'was executed; convert it to json'
        ) from error


def _load_yaml(self, file, **kwargs):
    """Read YAML without types of Python."""
    kwargs.setdefault('Loader', PlainYaml)
    try:
        return yaml.load(file, **kwargs)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise DataError(
            f'{_source()} is not plain YAML ({reason}), and no code in it was executed; correct it '
            'or convert it to json'
        ) from error


def _checked(method):
    """Wrap a method that reads a local file: pipes and devices are refused, and wrong encodings."""

    @functools.wraps(method)
    def wrapped(self, filepath, *args, **kwargs):
        check_regular(filepath)
        try:
            return method(self, filepath, *args, **kwargs)
        except UnicodeDecodeError as error:
            raise DataError(f"'{filepath}' is not text ({error}); write it again") from error

    return wrapped


def read_plain_data() -> None:
    """Replace how mmengine's handlers read pickles and YAML; nested json is an error of ours."""
    from mmengine.fileio import JsonHandler, LocalBackend, PickleHandler, YamlHandler

    for name in ('get', 'get_text'):
        setattr(LocalBackend, name, _checked(getattr(LocalBackend, name)))

    load_json = JsonHandler.load_from_fileobj

    @functools.wraps(load_json)
    def _load_json(self, file):
        try:
            return load_json(self, file)
        except RecursionError as error:
            raise DataError(f'{_source()} is nested too deeply; write it again') from error

    PickleHandler.load_from_fileobj = _load_pickle
    YamlHandler.load_from_fileobj = _load_yaml
    JsonHandler.load_from_fileobj = _load_json


ENTRY = Entry(
    name='annotation_files',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    security=True,
    attributes={
        'mmengine.fileio:PickleHandler.load_from_fileobj': ('self', 'file', 'kwargs'),
        'mmengine.fileio:YamlHandler.load_from_fileobj': ('self', 'file', 'kwargs'),
        'mmengine.fileio:JsonHandler.load_from_fileobj': ('self', 'file'),
        'mmengine.fileio:load': None,
        'mmengine.fileio:LocalBackend.get': ('self', 'filepath'),
        'mmengine.fileio:LocalBackend.get_text': ('self', 'filepath', 'encoding'),
    },
    why='mmengine runs code in annotation files that are pickles or YAML',
    until='an mmengine that reads plain data only',
    patch=read_plain_data,
)
