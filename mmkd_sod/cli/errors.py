"""What the libraries below say of a mistake in a config or in data, told in one sentence.

A wrong setting ends deep inside of a registry, an unreadable image in a data loader, a wrong number
of channels in a convolution. :func:`mistakes_told` says in front of which part it happened.
"""
import json
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from mmengine.config import Config
from mmengine.model import is_model_wrapper
from torch import nn

from mmkd_sod.compat.named_samples import samples_named
from mmkd_sod.engine.checks import datasets_within
from mmkd_sod.errors import ConfigError, DataError, TrainingError, UserError

# Set to 1: tools show Python's traceback as well.
TRACEBACK = 'MMKD_TRACEBACK'
# In the text of an error that a worker process sent.
_FROM_WORKER = 'Original Traceback'
# Longer messages are cut.
MAX_LENGTH = 500
# Functions that build a part of a run, and the settings they read.
SETTINGS = dict(
    add_default_hooks='custom_hooks', build_logger='log_level', build_model='model',
    build_optim_wrapper='optim_wrapper', build_param_scheduler='param_scheduler',
    build_train_loop='train_cfg, train_dataloader', build_visualizer='visualizer',
    build_val_loop='val_cfg, val_dataloader, val_evaluator', load_or_resume='load_from, resume',
    register_custom_hooks='custom_hooks', register_default_hooks='default_hooks',
    set_randomness='randomness', setup_env='env_cfg')


@contextmanager
def mistakes_told(cfg: Config, runner=None) -> Iterator[None]:
    """Turn errors while a config is built, or in a run's data and first step, into sentences.

    Errors of later steps that concern neither data nor files pass: they are no mistake of a config.

    Args:
        cfg (Config): The whole config.
        runner (Runner, optional): The run; without one, the config is being built.

    Raises:
        UserError: In place of any such error, which is its cause.
    """
    try:
        with samples_named(_sentence):
            yield
    except UserError as error:
        if _FROM_WORKER in str(error):
            raise type(error)(_sentence(error).partition(': ')[2]) from error
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK) == '1':
            raise
        told = _told(error, cfg, runner)
        if told is None:
            raise
        raise told from error


def _told(error: Exception, cfg: Config, runner) -> UserError | None:
    frames = list(_frames(error))
    reading = [frame for frame in frames if frame.f_code.co_name == 'prepare_data']
    what = _sentence(error)
    if 'at least one array to concatenate' in what:
        return DataError(_nothing_left(cfg, frames))
    if any(frame.f_code.co_name == 'load_data_list' for frame in frames):
        path = getattr(_dataset(frames), 'ann_file', '')
        return DataError(f"the annotations '{path}' cannot be used: {what}")
    if reading or 'DataLoader worker' in str(error):
        remedy = '' if reading else '; num_workers=0 in the loader tells the file'
        return DataError(f'the data cannot be read{_image(frames)}: {what}{remedy}')
    if isinstance(error, OSError):
        return TrainingError(f'a file cannot be read or written: {what}')
    calls = {frame.f_code.co_name for frame in frames}
    if runner is None or calls & {'build_from_cfg', *SETTINGS}:
        return ConfigError(f'the config cannot be built{_builder(frames)}: {what}')
    if 'call_hook' in calls and 'unexpected keyword argument' in what:
        # A checkpoint hook hands settings that it does not know to what it calls much later.
        return ConfigError(f'the settings of a hook do not fit: {what}')
    if runner.iter == 0:
        return ConfigError('the first step fails' + _module(frames, runner.model) + f': {what}; '
                           'model, settings and data do not fit together')
    return None


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Frames that an error came through, the outermost first."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _sentence(error: Exception) -> str:
    text = str(error)
    if _FROM_WORKER in text:
        # Of a worker process: its last line is the error.
        text = text.strip().splitlines()[-1]
    elif not isinstance(error, OSError):
        # An assertion often says nothing but its condition.
        said = text.strip() or traceback.extract_tb(error.__traceback__)[-1].line
        text = f'{type(error).__name__}: {said}'
    text = ' '.join(text.split())
    return (text[:MAX_LENGTH] + '...' if len(text) > MAX_LENGTH else text).rstrip('.;')


def _image(frames: list[FrameType]) -> str:
    """The file of the sample that was being prepared."""
    for frame in reversed(frames):
        for name in ('results', 'data_info'):
            found = frame.f_locals.get(name)
            if isinstance(found, Mapping) and found.get('img_path'):
                return f" ({found['img_path']})"
    return ''


def _builder(frames: list[FrameType]) -> str:
    """The classes that were being made, the outermost first, and the settings they took up."""
    parts: dict[int | str, str] = {}
    for index, frame in enumerate(frames):
        made, code = frame.f_locals.get('self'), frame.f_code
        if code.co_name in SETTINGS:
            parts[code.co_name] = SETTINGS[code.co_name]
        layer = type(made).__module__.startswith(('torch.', 'mmcv.cnn', 'mmengine.'))
        if made is None or layer or not (isinstance(made, nn.Module) or code.co_name == '__init__'):
            continue
        names = code.co_varnames[1:code.co_argcount + code.co_kwonlyargcount]
        inner = [deeper.f_locals['cfg'] for deeper in frames[index + 1:]
                 if 'cfg' in deeper.f_locals]
        setting = next((f'.{name}' for name in names for cfg in inner
                        if frame.f_locals.get(name) is cfg), '')
        if setting or id(made) not in parts:
            parts[id(made)] = type(made).__name__ + setting
    return f" ({' > '.join(parts.values())})" if parts else ''


def _module(frames: list[FrameType], model: nn.Module) -> str:
    """The innermost part of the model that an error came through."""
    names = {id(module): name for name, module in model.named_modules() if name}
    plain = model.module if is_model_wrapper(model) else model
    # Teachers are no children of the model.
    for title, teacher in getattr(plain, 'teachers', {}).items():
        prefix = 'teacher' + (f'.{title}' if title else '')
        names.update((id(module), f'{prefix}.{name}'.rstrip('.'))
                     for name, module in teacher.named_modules())
    for frame in reversed(frames):
        name = names.get(id(frame.f_locals.get('self')))
        if name is not None:
            return f' in {name}'
    return ''


def _dataset(frames: list[FrameType]):
    """The data set that an error came through, or None."""
    return next((frame.f_locals['self'] for frame in reversed(frames)
                 if hasattr(frame.f_locals.get('self'), 'ann_file')), None)


def _nothing_left(cfg: Config, frames: list[FrameType]) -> str:
    """Why a data set holds no image."""
    dataset = _dataset(frames)
    path = getattr(dataset, 'ann_file', '')
    where = next((where for name in ('train_dataloader', 'val_dataloader', 'test_dataloader')
                  if isinstance((cfg.get(name) or {}).get('dataset'), dict)
                  for part, where in datasets_within(cfg[name].dataset, f'{name}.dataset')
                  if path.endswith(part.get('ann_file') or '\0')), 'the data set')
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    told = f"{where}: no image of '{path}' can be used"
    try:
        with open(path, encoding='utf-8') as file:
            names = [category['name'] for category in json.load(file)['categories']]
    except (OSError, ValueError, KeyError, TypeError):
        names = None
    if names is not None and classes is not None and not set(names) & set(classes):
        return (f'{told}, for its classes {_few(names)} are none of {_few(classes)}; set '
                f'{where}.metainfo.classes')
    return (f'{told}, for it holds no annotated image of the size that is wanted; put images with '
            f"objects there, or set {where}.filter_cfg=dict(filter_empty_gt=False)")


def _few(names) -> str:
    names = [str(name) for name in names]
    return '(' + ', '.join(names[:6]) + (', ...' if len(names) > 6 else '') + ')'
