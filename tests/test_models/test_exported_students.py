"""Exported students load in an interpreter where neither mmkd_sod nor mmrazor can be imported."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd_sod.models.builder import build_model
from mmkd_sod.models.student import is_distillation, own_types, student_config, write_student
from tests.conftest import ROOT
from tests.generated_data import without_downloads

CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')
SHORT = ('crosskd/gfl_r50_pkd', 'cskd/pspnet_r18_camvid', 'combine/groups_rgbd_teacher')
LOAD = """
    import sys, warnings
    warnings.simplefilter('ignore')
    # mmcv-lite gets its operators from mmkd_sod, where a student without it needs a compiled mmcv.
    import mmcv.ops
    for name in [name for name in sys.modules if name.split('.')[0] == 'mmkd_sod']:
        del sys.modules[name]

    class Refuse:
        def find_spec(self, name, path=None, target=None):
            if name.split('.')[0] in ('mmkd_sod', 'mmrazor'):
                raise ModuleNotFoundError(f'No module named {name!r}', name=name)

    sys.meta_path.insert(0, Refuse())
    config, checkpoint = sys.argv[1:]
    from mmengine.config import Config
    package = Config.fromfile(config).default_scope
    if package == 'mmdet':
        from mmdet.apis import init_detector as init
    else:
        from mmseg.apis import init_model as init
    init(config, checkpoint, device='cpu')
"""


def name_of(path: Path) -> str:
    return f'{path.parent.name}/{path.stem}'


def cases():
    """Yield all configs, and mark those that the short suite omits."""
    for path in CONFIGS:
        marks = () if name_of(path) in SHORT else (pytest.mark.slow,)
        yield pytest.param(path, id=name_of(path), marks=marks)


@pytest.mark.parametrize('path', cases())
def test_config_and_checkpoint_load_without_this_package(path, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg = without_downloads(Config.fromfile(path))
    plain = student_config(cfg)
    if is_distillation(cfg):  # Plain networks of this package keep their hooks.
        assert not own_types({key: plain.get(key) for key in ('neck', 'pkd', 'custom_hooks')})
    settings = dict(plain.model)
    settings.setdefault('_scope_', plain.default_scope)
    model = build_model(without_downloads(Config(dict(model=settings))).model)
    checkpoint = dict(meta={}, state_dict=model.state_dict())
    write_student(plain, checkpoint, tmp_path / 'student.py', tmp_path / 'student.pth')
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(LOAD), 'student.py', 'student.pth'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    if own_types(plain.model):
        # The network itself is of this package; the error names it.
        assert done.returncode and 'mmkd_sod' in done.stderr
    else:
        assert not done.returncode, done.stderr[-2000:]


def test_a_preprocessor_outside_of_the_model_is_exported():
    cfg = Config.fromfile(ROOT / 'configs/cskd/pspnet_r18_camvid.py')
    assert is_distillation(cfg) and cfg.model.get('data_preprocessor') is None
    cfg.data_preprocessor = dict(type='SegDataPreProcessor', size=(8, 8))
    assert student_config(cfg).model.data_preprocessor.size == (8, 8)
