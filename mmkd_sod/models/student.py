"""From a distillation config and checkpoint to a plain student."""
import copy

from mmengine.config import Config, ConfigDict
from torch import nn

from mmkd_sod.errors import CheckpointError
from mmkd_sod.models.builder import build_model, resolve_model_cfg
from mmkd_sod.utils.checkpoint import read_checkpoint, save_checkpoint
from mmkd_sod.utils.files import atomic_path

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


def load_student(cfg: Config, path: str) -> tuple[Config, dict, nn.Module]:
    """A plain student, its config and its weights.

    Args:
        cfg (Config): A distillation config, or one of a plain model.
        path (str): Its checkpoint.

    Returns:
        tuple: The plain config, which resumes nothing; the checkpoint of
        :func:`student_checkpoint`, of exactly the student's weights; and the model that they fill,
        in eval mode, on the CPU.

    Raises:
        CheckpointError: The checkpoint is not of this config's student.
    """
    plain = student_config(cfg)
    plain.load_from, plain.resume = None, False
    checkpoint = student_checkpoint(path)
    settings = dict(plain.model)
    settings.setdefault('_scope_', plain.get('default_scope'))
    model = build_model(settings, 'student')
    own, state = model.state_dict(), checkpoint['state_dict']
    wrong = [key for key in own if key not in state or state[key].shape != own[key].shape]
    if wrong:
        found = tuple(state[wrong[0]].shape) if wrong[0] in state else 'nothing'
        raise CheckpointError(
            f"checkpoint '{path}' does not fit the student of the config in {len(wrong)} of "
            f'{len(own)} weights, first {wrong[0]}: checkpoint {found}, student '
            f'{tuple(own[wrong[0]].shape)}; give the checkpoint that this config trained')
    checkpoint['state_dict'] = {key: state[key] for key in own}
    model.load_state_dict(checkpoint['state_dict'])
    # Not all of mmdet's models return themselves.
    model.eval()
    return plain, checkpoint, model


def write_student(plain: Config, checkpoint: dict, config_path, weights_path) -> None:
    """Write what :func:`load_student` gave; each file appears whole.

    Args:
        plain (Config): The plain config.
        checkpoint (dict): The plain checkpoint.
        config_path (str | Path): Ends in ``.py``.
        weights_path (str | Path): Ends in ``.pth``.
    """
    save_checkpoint(checkpoint, weights_path)
    with atomic_path(config_path) as temporary:
        plain.dump(temporary)
