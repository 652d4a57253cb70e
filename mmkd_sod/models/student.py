"""Extracting the plain student from a distillation config and checkpoint."""

import copy
import inspect
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mmkd_sod.errors import CheckpointError
from mmkd_sod.models.builder import build_model, resolve_model_cfg
from mmkd_sod.utils.checkpoint import adopt_bases, check_fits, read_checkpoint, save_checkpoint
from mmkd_sod.utils.files import atomic_path, remove_leftovers

_OURS = ('mmkd_sod.', 'mmrazor.')
# Settings that the Runner or a tool reads; all others are variables of config files.
_READ = {
    *inspect.signature(Runner).parameters,
    *('custom_imports', 'tta_model', 'tta_pipeline', 'activation_checkpointing', 'compile'),
}


def is_distillation(cfg: Config) -> bool:
    """Return whether the config's model is a student with a teacher."""
    return 'architecture' in cfg.get('model', {}) and 'teacher' in cfg.model


def student_config(cfg: Config) -> Config:
    """Return the config of the plain student with the same data, schedule and runtime.

    Args:
        cfg (Config): A distillation config, or a plain one, which is copied.

    Returns:
        Config: A config for mmdet's or mmseg's own tools. It imports mmkd_sod only if its model,
        data or metrics use types of mmkd_sod; unless the model does, the import may fail.
    """
    plain = copy.deepcopy(cfg)
    if is_distillation(cfg):
        model = resolve_model_cfg(cfg.model.architecture, 'architecture')
        # The Runner gives the model the one outside of it, if it has none of its own.
        preprocessor = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')
        if preprocessor is not None:
            model.data_preprocessor = copy.deepcopy(preprocessor)
        scope = model.get('_scope_')
        if scope is not None and scope == cfg.get('default_scope'):
            model.pop('_scope_')
        plain.model = model
        # Hooks of mmkd_sod control distillers, which the student does not have.
        hooks = [
            hook for hook in plain.get('custom_hooks') or [] if not _name(hook).startswith(_OURS)
        ]
        if 'custom_hooks' in plain:
            plain.custom_hooks = hooks
        _drop_distillation(plain)
    _settle_imports(plain)
    return plain


def _drop_distillation(plain: Config) -> None:
    """Remove what serves the distillation alone: variables of bases, and views of teachers."""
    for key in set(plain) - _READ:
        if own_types({key: plain[key]}):
            plain.pop(key)
    for node in _nodes(plain._cfg_dict):
        if isinstance(node.get('pipeline'), list):
            node['pipeline'] = [
                item for item in node['pipeline'] if _name(item) != 'mmkd_sod.TeacherView'
            ]


def _settle_imports(plain: Config) -> None:
    """Keep an import of ours only if it is needed, and let it fail if only data need it."""
    settings = plain.get('custom_imports')
    if not settings:
        return
    imports = settings['imports']
    imports = [imports] if isinstance(imports, str) else list(imports)
    others = [name for name in imports if not f'{name}.'.startswith(_OURS)]
    if own_types(plain):
        if len(others) < len(imports) and not own_types(plain.get('model') or {}):
            settings['allow_failed_imports'] = True
    elif others:
        settings['imports'] = others
    else:
        plain.pop('custom_imports')


def _nodes(node) -> Iterator[dict]:
    """Yield all dicts of a nested config."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _nodes(value)


def _name(node) -> str:
    """Return the type of a config as text; of a class, its package and name."""
    kind = node.get('type') if isinstance(node, dict) else None
    if isinstance(kind, type):
        return f'{kind.__module__.partition(".")[0]}.{kind.__name__}'
    return kind if isinstance(kind, str) else ''


def own_types(cfg) -> list[str]:
    """Return the sorted types of mmkd_sod and mmrazor anywhere in a config."""
    nodes = _nodes(cfg._cfg_dict if isinstance(cfg, Config) else ConfigDict(cfg))
    return sorted({name for name in map(_name, nodes) if name.startswith(_OURS)})


def load_model(cfg: Config, checkpoint, device: str | None = None) -> BaseModel:
    """Load a plain model in eval mode, of a distillation config the student.

    Args:
        cfg (Config): Config of the run.
        checkpoint (str | Path): Checkpoint of that config.
        device (str, optional): Such as ``'cuda'`` or ``'cpu'``; default: a GPU if available.

    Raises:
        ConfigError: The config has no model that can be built.
        CheckpointError: The checkpoint is missing, unsafe or does not fit.
    """
    plain = student_config(cfg)
    plain.model.setdefault('_scope_', plain.get('default_scope', 'mmengine'))
    with torch.random.fork_rng(devices=[]):
        model = build_model(plain.model)
    state, _ = read_checkpoint(str(checkpoint))
    check_fits(model, state, f"checkpoint '{checkpoint}'", f"the model of '{cfg.filename}'")
    model.load_state_dict(state, strict=False)
    # `eval` of some mmdet models returns None, so its result is not used.
    model.to(device or get_device()).eval()
    return model


def student_checkpoint(path: str) -> dict:
    """Return the student's weights and the metadata that inference needs.

    Args:
        path (str): A checkpoint of ``DenseDistill``, mmrazor's ``SingleTeacherDistill`` or a plain
            model.

    Returns:
        dict: ``state_dict`` with the names of the plain model, and ``meta`` with those of
        ``dataset_meta``, ``epoch`` and ``iter`` that the checkpoint has.

    Raises:
        CheckpointError: The checkpoint cannot be read, is unsafe or has no weights.
    """
    state, meta = read_checkpoint(path)
    kept = {key: meta[key] for key in ('dataset_meta', 'epoch', 'iter') if key in meta}
    return dict(meta=kept, state_dict=state)


def load_student(cfg: Config, path: str) -> tuple[Config, dict, nn.Module]:
    """Load the plain student of a distillation.

    Args:
        cfg (Config): A distillation config, or one of a plain model.
        path (str): Checkpoint of that config.

    Returns:
        tuple: The plain config, without ``load_from`` and ``resume``; a checkpoint as of
        ``student_checkpoint`` with exactly the student's weights; and the model with these
        weights, in eval mode, on the CPU.

    Raises:
        CheckpointError: The checkpoint does not fit the student of the config.
    """
    plain = student_config(cfg)
    plain.load_from, plain.resume = None, False
    checkpoint = student_checkpoint(path)
    settings = dict(plain.model)
    settings.setdefault('_scope_', plain.get('default_scope'))
    model = build_model(settings, 'student')
    adopt_bases(model, checkpoint['state_dict'], f"checkpoint '{path}'")
    own, state = model.state_dict(), checkpoint['state_dict']
    wrong = [key for key in own if key not in state or state[key].shape != own[key].shape]
    if wrong:
        found = tuple(state[wrong[0]].shape) if wrong[0] in state else 'missing'
        raise CheckpointError(
            f"checkpoint '{path}' does not fit the student of the config in {len(wrong)} of "
            f'{len(own)} weights, first {wrong[0]}: checkpoint {found}, student '
            f'{tuple(own[wrong[0]].shape)}; give the checkpoint that this config trained'
        )
    checkpoint['state_dict'] = {key: state[key] for key in own}
    model.load_state_dict(checkpoint['state_dict'])
    model.eval()
    return plain, checkpoint, model


def same_weights(checkpoint: dict, path) -> bool:
    """Return whether a file holds exactly the weights of a checkpoint.

    Args:
        checkpoint (dict): A checkpoint of ``load_student``.
        path (str | Path): A file, perhaps of another program.
    """
    try:
        found, _ = read_checkpoint(str(path))
    except CheckpointError:
        return False
    wanted = checkpoint['state_dict']
    return found.keys() == wanted.keys() and all(
        found[key].dtype == value.dtype and torch.equal(found[key], value)
        for key, value in wanted.items()
    )


def write_student(plain: Config, checkpoint: dict, config_path, weights_path) -> None:
    """Write the config and checkpoint of ``load_student``: both files, or none if one cannot be.

    Args:
        plain (Config): Config of the student.
        checkpoint (dict): Checkpoint of the student.
        config_path (str | Path): Output file, ending in ``.py``.
        weights_path (str | Path): Output file, ending in ``.pth``.
    """
    for folder in {Path(weights_path).parent, Path(config_path).parent}:
        remove_leftovers(folder)
    # The weights take their place first, the config last.
    with atomic_path(config_path) as config, atomic_path(weights_path) as weights:
        save_checkpoint(checkpoint, weights)
        plain.dump(config)
