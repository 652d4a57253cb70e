"""From a config to a model: `cfg_path` references, overrides and scopes."""
import copy
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd_sod.errors import ConfigError

# `configs/...` of this project is found from any folder: in a checkout beside the package, in an
# installed one inside of it.
_PACKAGE = Path(__file__).resolve().parents[1]
_PLACES = (_PACKAGE.parent, _PACKAGE / '.mim')


def _load(cfg_path: str, role: str) -> Config:
    try:
        if '::' in cfg_path:
            return get_config(cfg_path)
        paths = [Path(cfg_path), *(place / cfg_path for place in _PLACES)]
        return Config.fromfile(next((path for path in paths if path.is_file()), cfg_path))
    except OSError as error:
        raise ConfigError(
            f"DenseDistill: {role}.cfg_path='{cfg_path}' leads to no config file; give "
            "'<package>::<folder>/<name>.py' or the path of a file") from error


def resolve_model_cfg(cfg: dict, role: str = 'model') -> ConfigDict:
    """The full model config that ``cfg`` stands for.

    Args:
        cfg (dict): Either a model config with ``type``, returned as it is, or
            ``dict(cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py', **overrides)``: the model of that
            config file, ``overrides`` merged into it as a child config would (``_delete_`` works).
        role (str): Whose config it is, for error messages.

    Returns:
        ConfigDict: A model config with ``type`` and, if it came from a file, ``_scope_``.

    Raises:
        ConfigError: When ``cfg_path`` leads nowhere or the file has no model.
    """
    cfg = copy.deepcopy(dict(cfg))
    if 'cfg_path' not in cfg:
        return ConfigDict(cfg)
    cfg_path = cfg.pop('cfg_path')
    whole = _load(cfg_path, role)
    if 'model' not in whole:
        raise ConfigError(
            f"DenseDistill: {role}.cfg_path='{cfg_path}' is a config without `model`; name one "
            'that trains a model')
    # mmseg's and mmpretrain's files may keep the preprocessor beside the model.
    if 'data_preprocessor' in whole:
        whole.model.setdefault('data_preprocessor', whole.data_preprocessor)
    merged = Config({'model': whole.model})
    merged.merge_from_dict({'model': cfg})
    model = merged.model
    if whole.get('default_scope') is not None:
        model.setdefault('_scope_', whole.default_scope)
    return model


def build_model(cfg: dict | BaseModel, role: str = 'model') -> BaseModel:
    """Build a detector or segmentor from a config as :func:`resolve_model_cfg` takes it.

    Args:
        cfg (dict | BaseModel): The config; a built model passes through.
        role (str): Whose config it is, for error messages.

    Returns:
        BaseModel: The model, weights not loaded.
    """
    if not isinstance(cfg, BaseModel):
        if not isinstance(cfg, dict):
            raise ConfigError(f'DenseDistill: {role} is a {type(cfg).__name__}; give a config dict '
                              'or a built mmengine BaseModel')
        cfg = ROOT_MODELS.build(resolve_model_cfg(cfg, role))
    if not isinstance(cfg, BaseModel):
        raise ConfigError(f'DenseDistill: {role} built a {type(cfg).__name__}; it must be a '
                          'detector or segmentor (an mmengine BaseModel)')
    return cfg
