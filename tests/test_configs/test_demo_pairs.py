"""Demo configs come in threes; the distilled student is the plain one in all but the distiller."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd_sod.models.student import is_distillation, student_config

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / 'configs' / 'demo'
DISTILLED = sorted(
    path for path in DEMO.glob('*.py') if path.stem.split('_')[-1] not in ('teacher', 'student')
)

# What a Runner reads; the rest are a config file's own variables.
RUN = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'val_evaluator',
    'test_evaluator',
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'optim_wrapper',
    'param_scheduler',
    'auto_scale_lr',
    'default_hooks',
    'randomness',
    'env_cfg',
    'default_scope',
)


def twin(path: Path, role: str) -> Path:
    """The config beside it that says ``role`` where this one says how it is distilled."""
    parts = path.stem.split('_')
    names = ['_'.join([*parts[:count], role]) for count in range(len(parts) - 1, 0, -1)]
    return next(twin for name in names if (twin := path.with_name(f'{name}.py')).is_file())


@pytest.mark.parametrize('path', DISTILLED, ids=lambda path: path.stem)
def test_distilled_student_is_the_plain_one(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    distilled = Config.fromfile(path)
    assert is_distillation(distilled)
    found = student_config(distilled)
    wanted = student_config(Config.fromfile(twin(path, 'student')))
    # Weak labels take the place of masks, so these students load their images alone.
    unlabelled = distilled.model.distiller.type == 'mmkd_sod.WeakLabelDistiller'
    for key in set(RUN) - ({'train_dataloader'} if unlabelled else set()):
        assert found.get(key) == wanted.get(key), key


@pytest.mark.parametrize('path', DISTILLED, ids=lambda path: path.stem)
def test_teacher_is_the_one_that_its_own_config_trains(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    distilled = Config.fromfile(path)
    if distilled.model.teacher is None:
        pytest.skip('its labels come from files')
    assert distilled.model.teacher == dict(cfg_path=f'configs/demo/{twin(path, "teacher").name}')
    epochs = Config.fromfile(twin(path, 'teacher')).train_cfg.max_epochs
    assert distilled.model.teacher_ckpt.endswith(f'epoch_{epochs}.pth')


@pytest.mark.parametrize(
    'path',
    sorted(
        path
        for folder in ('demo', 'crosskd', 'cskd', 'scfnet', 'hkdnet')
        for path in (ROOT / 'configs' / folder).glob('*.py')
    ),
    ids=lambda path: path.stem,
)
def test_leaves_are_short(path):
    assert len(path.read_text().splitlines()) < 20
