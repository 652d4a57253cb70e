"""Whether building the model and the data of a config could run code that its author chose.

mmengine builds any importable callable that ``type`` names, reads ``cfg_path`` as Python, imports
``custom_imports``, and some modules evaluate strings. Configs in the folders of runs are data, so
that pictures are predicted only for configs of registered types from known packages.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import Registry

from mmkd_sod.models.builder import CONFIG_ROOTS, config_file

_PACKAGES = ('mmengine', 'mmcv', 'mmdet', 'mmseg', 'mmrazor', 'mmpretrain', 'mmkd_sod')


@cache
def _registered(package: str) -> frozenset[str]:
    """Return the names in all registries of a known package; of mmcv's in mmengine's."""
    if package == 'mmengine':
        importlib.import_module('mmcv')
        importlib.import_module('mmcv.transforms')
        importlib.import_module('mmcv.cnn')
    elif importlib.util.find_spec(package) is None:
        return frozenset()
    module = importlib.import_module('mmengine.registry' if package == 'mmengine' else package)
    if package != 'mmengine':
        module = importlib.import_module(f'{package}.registry')
    registries = [value for value in vars(module).values() if isinstance(value, Registry)]
    for registry in registries:
        registry.import_from_location()
    return frozenset(name for registry in registries for name in registry.module_dict)


def _type_fault(kind: object, scopes: set[str]) -> bool:
    """Whether a type is something else than a registered one or a word for a known module."""
    scope, _, name = str(kind).rpartition('.')
    if scope:
        return scope not in _PACKAGES or name not in _registered(scope)
    if any(name in _registered(package) for package in scopes):
        return False
    # mmengine imports a name that it does not know; words such as 'nms' are no modules.
    return not name.isidentifier() or importlib.util.find_spec(name) is not None


def _path_fault(path: object) -> bool:
    """Whether ``cfg_path`` is a file that neither a known package nor this project brings."""
    package, sign, inner = str(path).partition('::')
    if sign:
        return package not in _PACKAGES or '..' in Path(inner).parts or Path(inner).is_absolute()
    file = config_file(str(path)).resolve()
    return not any(file.is_relative_to(root.resolve() / 'configs') for root in CONFIG_ROOTS)


def _settings(node: object, where: str) -> Iterator[tuple[str, str, object]]:
    """Yield place, key and value of everything in a nested config that is no container."""
    if isinstance(node, (Mapping, list, tuple)):
        inside = node.items() if isinstance(node, Mapping) else enumerate(node)
        for key, value in inside:
            if not isinstance(value, (Mapping, list, tuple)):
                yield f'{where}.{key}', str(key), value
            yield from _settings(value, f'{where}.{key}')


def code_in(cfg: Config) -> str | None:
    """Return a setting of a config that could run code when the report builds it, or None.

    Args:
        cfg (Config): Config of a run, whose model (of a distillation the student) and test data
            are built.
    """
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    for name in [imports] if isinstance(imports, str) else imports:
        if str(name).partition('.')[0] not in _PACKAGES:
            return f'custom_imports={name!r}'
    model = cfg.get('model') or {}
    model = {key: value for key, value in model.items() if key not in ('teacher', 'distiller')}
    parts = dict(
        model=model, test_dataloader=dict(dataset=(cfg.get('test_dataloader') or {}).get('dataset'))
    )
    found = [item for part, node in parts.items() for item in _settings(node, part)]
    scopes = {str(value) for _, key, value in found if key == '_scope_'}
    scopes.add(str(cfg.get('default_scope') or 'mmengine'))
    if unknown := sorted(scopes - {*_PACKAGES}):
        return f'the scope {unknown[0]!r}'
    scopes |= {'mmengine'}
    for where, key, value in found:
        if (
            (key == 'type' and _type_fault(value, scopes))
            or (key == 'cfg_path' and _path_fault(value))
            # Some modules evaluate strings; harmless ones call nothing.
            or (where.startswith('model.') and isinstance(value, str) and '(' in value)
        ):
            return f'{where}={value!r}'
    return None
