"""From a distillation config and checkpoint to a plain student."""
import copy

from mmengine.config import Config, ConfigDict

from mmkd_sod.models.builder import resolve_model_cfg
from mmkd_sod.utils.checkpoint import read_checkpoint

_OURS = ('mmkd_sod.', 'mmrazor.')


def is_distillation(cfg: Config) -> bool:
    """Whether the config's model is a student with a teacher."""
    return 'architecture' in cfg.get('model', {}) and 'teacher' in cfg.model


def student_config(cfg: Config) -> Config:
    """The config of the student alone: same data, schedule and runtime, a plain model.

    Args:
        cfg (Config): A distillation config; one of a plain model comes back as a copy.

    Returns:
        Config: A config that mmdet's or mmseg's own tools take. It asks for mmkd_sod only where
        the student itself, its data or its metrics are made of parts of mmkd_sod.
    """
    plain = copy.deepcopy(cfg)
    if is_distillation(cfg):
        model = resolve_model_cfg(cfg.model.architecture, 'architecture')
        preprocessor = cfg.model.get('data_preprocessor')
        if preprocessor is not None:
            model.data_preprocessor = copy.deepcopy(preprocessor)
        scope = model.get('_scope_')
        if scope is not None and scope == cfg.get('default_scope'):
            model.pop('_scope_')
        plain.model = model
        # Hooks of ours drive distillers, which are gone.
        hooks = [hook for hook in plain.get('custom_hooks') or []
                 if not str(hook.get('type')).startswith(_OURS)]
        if 'custom_hooks' in plain:
            plain.custom_hooks = hooks
    if 'custom_imports' in plain and not parts_of_ours(plain):
        imports = [name for name in plain.custom_imports['imports']
                   if not f'{name}.'.startswith(_OURS)]
        if imports:
            plain.custom_imports['imports'] = imports
        else:
            plain.pop('custom_imports')
    return plain


def parts_of_ours(cfg) -> list[str]:
    """Types of mmkd_sod or mmrazor that a config builds, wherever they stand, sorted."""
    found = set()

    def walk(node) -> None:
        if isinstance(node, dict):
            kind = node.get('type')
            if isinstance(kind, str) and kind.startswith(_OURS):
                found.add(kind)
            for value in node.values():
                walk(value)
        elif isinstance(node, (list, tuple)):
            for value in node:
                walk(value)

    walk(cfg._cfg_dict if isinstance(cfg, Config) else ConfigDict(cfg))
    return sorted(found)


def student_checkpoint(path: str) -> dict:
    """The student's weights and the meta data that inference needs.

    Args:
        path (str): A checkpoint of ``DenseDistill``, of mmrazor's ``SingleTeacherDistill`` or a
            plain one.

    Returns:
        dict: ``state_dict`` under the plain model's names, and ``meta`` with ``dataset_meta``,
        ``epoch`` and ``iter`` where the checkpoint has them.

    Raises:
        CheckpointError: The checkpoint cannot be read, is unsafe or holds no weights.
    """
    state, meta = read_checkpoint(path)
    kept = {key: meta[key] for key in ('dataset_meta', 'epoch', 'iter') if key in meta}
    return dict(meta=kept, state_dict=state)
