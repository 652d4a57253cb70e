"""Building models from configs with `cfg_path` references, overrides and scopes."""

import copy
from contextvars import ContextVar
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd_sod.errors import ConfigError
from mmkd_sod.utils.config_files import read_config_file

# Folders that contain this project's `configs`: of a checkout, of an installed package.
_PACKAGE = Path(__file__).resolve().parents[1]
# Files of ``cfg_path`` whose models are being built, the outermost first.
_building: ContextVar[tuple[str, ...]] = ContextVar('_building', default=())
CONFIG_ROOTS = (_PACKAGE.parent, _PACKAGE / '.mim')


def config_file(cfg_path: str) -> Path:
    """Return the file of a ``cfg_path`` without package: as given, or of this project."""
    paths = [Path(cfg_path), *(root / cfg_path for root in CONFIG_ROOTS)]
    return next((path for path in paths if path.is_file()), Path(cfg_path))


def _load(cfg_path: str, role: str) -> Config:
    try:
        return read_config_file(cfg_path if '::' in cfg_path else str(config_file(cfg_path)))
    except OSError as error:
        raise ConfigError(
            f"DenseDistill: {role}.cfg_path='{cfg_path}' is not a config file; set it to the path "
            "of a file or to '<package>::<folder>/<name>.py'"
        ) from error


def resolve_model_cfg(cfg: dict, role: str = 'model') -> ConfigDict:
    """Return the full model config for a config that may refer to a file.

    Args:
        cfg (dict): Either a model config with ``type``, which is returned as a copy, or
            ``dict(cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py', **overrides)``: the model of that
            config file with ``overrides`` merged as in a child config (``_delete_`` works).
        role (str): Config key of the model, for error messages.

    Returns:
        ConfigDict: Model config with ``type`` and, if it came from a file, ``_scope_``.

    Raises:
        ConfigError: ``cfg_path`` is not a config file, or the file has no model.
    """
    cfg = copy.deepcopy(dict(cfg))
    if 'cfg_path' not in cfg:
        return ConfigDict(cfg)
    cfg_path = cfg.pop('cfg_path')
    whole = _load(cfg_path, role)
    if 'model' not in whole:
        raise ConfigError(
            f"DenseDistill: {role}.cfg_path='{cfg_path}' is a config without `model`; set it to a "
            'config that trains a model'
        )
    # Configs of mmseg and mmpretrain may define the preprocessor outside the model.
    if 'data_preprocessor' in whole:
        whole.model.setdefault('data_preprocessor', whole.data_preprocessor)
    merged = Config({'model': whole.model})
    merged.merge_from_dict({'model': cfg})
    model = merged.model
    if whole.get('default_scope') is not None:
        model.setdefault('_scope_', whole.default_scope)
    return model


def _build_once(cfg: dict, role: str):
    """Build a config unless its ``cfg_path`` is being built already."""
    outer = _building.get()
    path = str(cfg.get('cfg_path', ''))
    path = path if not path or '::' in path else str(config_file(path).resolve())
    if path and path in outer:
        circle = ' -> '.join((*outer[outer.index(path) :], path))
        raise ConfigError(
            f'DenseDistill: {role}.cfg_path leads back to itself ({circle}); set one of them to '
            'the config of a plain model'
        )
    token = _building.set((*outer, path) if path else outer)
    try:
        return ROOT_MODELS.build(resolve_model_cfg(cfg, role))
    finally:
        _building.reset(token)


def build_model(cfg: dict | BaseModel, role: str = 'model') -> BaseModel:
    """Build a detector or segmentor from a config, without loading weights.

    Args:
        cfg (dict | BaseModel): A config for ``resolve_model_cfg``, or a model, which is
            returned unchanged.
        role (str): Config key of the model, for error messages.

    Returns:
        BaseModel: The model.

    Raises:
        ConfigError: The config does not describe a detector or segmentor.
    """
    if not isinstance(cfg, BaseModel):
        if not isinstance(cfg, dict):
            raise ConfigError(
                f'DenseDistill: {role} is a {type(cfg).__name__}; set it to a config '
                'dict or a built mmengine BaseModel'
            )
        cfg = _build_once(cfg, role)
    if not isinstance(cfg, BaseModel):
        raise ConfigError(
            f'DenseDistill: {role} built a {type(cfg).__name__}; set it to a config '
            'of a detector or segmentor (an mmengine BaseModel)'
        )
    return cfg
