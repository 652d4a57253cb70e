"""How the command line explains an error that is not a ``UserError``.

Where the state in which it was raised proves a user's mistake, the mistake is shown instead. Any
other error keeps its type, message and traceback; hints below it name the part of the config or of
the model that it came through. Both are read from the frames, never from a library's message.
"""

import errno
import inspect
import os
import traceback
from collections.abc import Mapping
from types import FrameType

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry.build_functions import build_from_cfg
from mmengine.runner import Runner
from torch import nn

from mmkd_sod.errors import ConfigError, DataError, UserError
from mmkd_sod.utils.notes import add_note

from .data_mistakes import data_mistake
from .part_mistakes import not_registered, part_mistake

# Functions of the Runner that build a part of a run, and the settings they read.
SETTINGS = dict(
    add_default_hooks='custom_hooks',
    build_logger='log_level',
    build_model='model',
    build_optim_wrapper='optim_wrapper',
    build_param_scheduler='param_scheduler',
    build_train_loop='train_cfg, train_dataloader',
    build_visualizer='visualizer',
    build_val_loop='val_cfg, val_dataloader, val_evaluator',
    build_test_loop='test_cfg, test_dataloader, test_evaluator',
    load_or_resume='load_from, resume',
    register_custom_hooks='custom_hooks',
    register_default_hooks='default_hooks',
    set_randomness='randomness',
    setup_env='env_cfg',
)

# What goes wrong with paths, permissions and disks.
_FILE_ERRORS = {
    errno.EACCES,
    errno.EBUSY,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EINVAL,
    errno.EIO,
    errno.EISDIR,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.ENOTSUP,
    errno.ENXIO,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
    errno.EXDEV,
}


def explained(error: Exception) -> Exception:
    """Return the user's mistake that an error proves, or the error itself with hints.

    Args:
        error (Exception): What a tool raised.

    Returns:
        Exception: A new ``UserError`` whose cause is ``error``; or ``error``.
    """
    if isinstance(error, UserError):
        return error
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    try:
        mistake = _build_mistake(frames) or data_mistake(frames) or _file_mistake(error, frames)
        mistake = mistake or _annotation_mistake(error, frames) or part_mistake(error, frames)
        hints = [_reading(frames) or _building(frames) or _module(frames), _hook(frames)]
    except Exception as fault:  # Explaining an error must never hide it.
        mistake, hints = None, [f'none, since looking for one raised {fault!r}']
    if mistake is not None:
        mistake.__cause__ = error
        return mistake
    if any(frame.f_code is Runner.call_hook.__code__ for frame in frames):
        # For a TypeError in a hook the Runner raises a copy that hides its origin.
        error.__suppress_context__ = False
    for hint in filter(None, hints):
        add_note(error, f'Hint: {hint}')
    return error


def _file_mistake(error: Exception, frames: list[FrameType]) -> UserError | None:
    """A file that cannot be read or written, outside of a training and of a config's own code."""
    if not isinstance(error, OSError) or error.errno not in _FILE_ERRORS:
        return None
    codes = [frame.f_code for frame in frames]
    if Runner.train.__code__ in codes:
        return None
    if Config.fromfile.__code__ in codes:
        inside = codes[codes.index(Config.fromfile.__code__) :]
        if any(code.co_name == '<module>' for code in inside):
            return None
    name = (
        'the output or a temporary file'
        if error.filename is None
        else f"'{os.fsdecode(error.filename)}'"
    )
    return UserError(
        f'{name} cannot be read or written ({error.strerror}); check the path, its permissions and '
        'the free space'
    )


def _annotation_mistake(error: Exception, frames: list[FrameType]) -> DataError | None:
    """A value of odd type or size that one of mmdet's data sets stumbled over in its json file."""
    for frame in frames:
        dataset = frame.f_locals.get('self')
        if (
            frame.f_code.co_name == 'load_data_list'
            and isinstance(dataset, BaseDataset)
            and type(dataset).__module__.startswith('mmdet.')
            and str(dataset.ann_file).endswith('.json')
            and isinstance(error, (TypeError, ValueError, LookupError, ArithmeticError))
        ):
            return DataError(
                f"annotation file '{dataset.ann_file}' has a value that {type(dataset).__name__} "
                f'cannot use ({type(error).__name__}: {error}); correct the file'
            )
    return None


def _builds(frames: list[FrameType]) -> list[FrameType]:
    """Calls of ``build_from_cfg``, the outermost first."""
    return [frame for frame in frames if frame.f_code is build_from_cfg.__code__]


def _build_mistake(frames: list[FrameType]) -> ConfigError | None:
    """A config that ``build_from_cfg`` itself could not take."""
    frame = frames[-1]
    if frame.f_code is not build_from_cfg.__code__:
        return None
    names, where = frame.f_locals, _building(frames)
    cfg, kind, made = names['cfg'], names.get('obj_type'), names.get('obj_cls')
    if made is not None:
        fault = _misfit(made, names['args'], cfg)
        return None if fault is None else ConfigError(f'{where}: {fault}')
    return not_registered(where, kind, names['registry']) if isinstance(kind, str) else None


def _misfit(made, args: Mapping, cfg: Mapping) -> str | None:
    """Which settings a class does not take or lacks; None where its signature takes them."""
    try:
        signature = inspect.signature(made)
        signature.bind(**args)
    except TypeError:
        wanted = signature.parameters
    except ValueError:  # Some built-in classes have no signature.
        return None
    else:
        return None
    unknown = [name for name in args if name not in wanted and name in cfg]
    missing = [
        name
        for name, parameter in wanted.items()
        if name not in args
        and parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    name = made.__name__
    if unknown:
        return f'{name} does not take {", ".join(unknown)}; it takes {", ".join(wanted)}'
    return f'{name} needs {", ".join(missing)}; add it' if missing else None


def _key(outer, cfg) -> str | None:
    """The setting of a config under which another one stands."""
    if not isinstance(outer, Mapping):
        return None
    return next(
        (
            str(key)
            for key, value in outer.items()
            if value is cfg or (type(value) is type(cfg) and value == cfg)
        ),
        None,
    )


def _building(frames: list[FrameType]) -> str:
    """The settings that were being built, the outermost first; '' where none were."""
    sections = dict.fromkeys(
        SETTINGS[frame.f_code.co_name] for frame in frames if frame.f_code.co_name in SETTINGS
    )
    parts, outer = list(sections), None
    for frame in _builds(frames):
        cfg = frame.f_locals['cfg']
        key = _key(outer, cfg)
        if key is not None:
            parts[-1] += f'.{key}'
        if isinstance(cfg, Mapping):
            kind = cfg.get('type') or frame.f_locals.get('obj_type')
            parts.append(getattr(kind, '__name__', str(kind)))
        outer = cfg
    return f'while building {" > ".join(parts)}' if parts else ''


def _module(frames: list[FrameType]) -> str:
    """The innermost module that the error came through, by its path in the model."""
    names: dict[int, str] = {}
    found = ''
    for frame in frames:
        module = frame.f_locals.get('self')
        if not isinstance(module, nn.Module):
            continue
        if id(module) not in names:
            # The model, or a teacher, which is not its child.
            root = f'{found} > {type(module).__name__}' if found else type(module).__name__
            names.update(
                (id(child), f'{root}.{name}'.rstrip('.')) for name, child in module.named_modules()
            )
        found = names[id(module)]
    return f'raised in {found}' if found else ''


def _reading(frames: list[FrameType]) -> str:
    """The config or annotation file that was being read."""
    for frame in frames:
        names = frame.f_locals
        if frame.f_code is Config.fromfile.__code__:
            return f"while reading config '{names['filename']}'"
        if frame.f_code.co_name == 'load_data_list' and isinstance(names.get('self'), BaseDataset):
            return f"while reading the annotations '{names['self'].ann_file}'"
    return ''


def _hook(frames: list[FrameType]) -> str:
    """The hook that was running."""
    for frame in reversed(frames):
        if frame.f_code is Runner.call_hook.__code__:
            names = frame.f_locals
            return f'raised by the hook {type(names["hook"]).__name__}.{names["fn_name"]}'
    return ''
