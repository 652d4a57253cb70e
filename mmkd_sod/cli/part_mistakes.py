"""Parts of a config that do not fit each other, and types that are not registered."""

import difflib
from types import FrameType

from mmengine.evaluator import BaseMetric
from mmengine.registry import OPTIMIZERS, Registry

from mmkd_sod.errors import ConfigError


def near_names(kind: str, registry: Registry) -> list[str]:
    """Return up to three registered names that are similar to a name, the nearest first.

    Args:
        kind (str): A name that is not registered, perhaps with a scope.
        registry (Registry): Where it was looked for; its parents and children are searched too.
    """
    scope, _, name = kind.rpartition('.')
    top = registry
    while top.parent is not None:
        top = top.parent
    # A name in the registry of the scope comes before the same name elsewhere.
    found: dict[str, str] = {}
    for place in (registry, top, *top._children.values()):
        place.import_from_location()
        for known in place.module_dict:
            shown = known if place in (registry, top) else f'{place.scope}.{known}'
            found.setdefault(known.lower(), shown)
    near = difflib.get_close_matches(name.lower(), found, 3, 0.65)
    return [found[key] for key in near if not scope or f'{scope}.{name}' != found[key]]


def not_registered(where: str, kind: str, registry: Registry) -> ConfigError:
    """Return the error for a type that is in no registry, with the nearest names."""
    near = near_names(kind, registry)
    hint = f' (perhaps {", ".join(near)})' if near else ''
    return ConfigError(
        f"{where}: type '{kind}' is not registered{hint}; correct it, or import the module that "
        'registers it with custom_imports'
    )


def _optimizer_mistake(frames: list[FrameType]) -> ConfigError | None:
    """An optimizer of an unknown type, of which mmengine asks the signature."""
    for frame in frames:
        names = frame.f_locals
        if 'optimizer_cls' in names and names['optimizer_cls'] is None:
            kind = str(names['self'].optimizer_cfg.get('type'))
            return not_registered('while building optim_wrapper.optimizer', kind, OPTIMIZERS)
    return None


def part_mistake(error: Exception, frames: list[FrameType]) -> ConfigError | None:
    """Return which part of a run is unknown, or needs what another one does not give, or None.

    Args:
        error (Exception): What was raised.
        frames (list): Its frames, the outermost first.
    """
    if isinstance(error, TypeError):
        return _optimizer_mistake(frames)
    if not isinstance(error, KeyError) or not error.args:
        return None
    names, key = frames[-1].f_locals, error.args[0]
    sampler, info = names.get('self'), names.get('data_info')
    if frames[-1].f_code.co_name == '__iter__' and isinstance(info, dict) and key not in info:
        kind, inner = type(sampler).__name__, getattr(sampler, 'sampler', None)
        if key in ('width', 'height') and inner is not None:
            dataset = type(inner.dataset).__name__
            return ConfigError(
                f'train_dataloader.batch_sampler: {kind} needs the width and height of each image, '
                f'which {dataset} does not give; remove batch_sampler'
            )
    for frame in frames:
        metric = frame.f_locals.get('self')
        if (
            isinstance(metric, BaseMetric)
            and frame.f_code.co_name == 'process'
            # Not in a library that the metric calls.
            and frame.f_code.co_filename == frames[-1].f_code.co_filename
        ):
            return ConfigError(
                f'{type(metric).__name__} needs {key!r} of each prediction, which is missing; use '
                'a metric, or a model, of the same task, or add it to the meta_keys of the test '
                'pipeline'
            )
    return None
