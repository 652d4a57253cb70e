"""The CSKD recipes: short, of one number of classes, by the paper's weights."""

import pytest
from mmengine.config import Config

from mmkd_sod.models.builder import resolve_model_cfg
from tests.conftest import ROOT

LEAVES = sorted((ROOT / 'configs' / 'cskd').glob('*.py'))
DISTILLED = [path for path in LEAVES if 'r101' not in path.stem]
CLASSES = dict(camvid=11, cityscapes=19, voc=21)


def test_there_are_recipes_for_three_sets():
    names = {path.stem for path in DISTILLED}
    for data in CLASSES:
        for student in ('deeplabv3_r18', 'deeplabv3_mobilenetv2', 'pspnet_r18'):
            assert f'{student}_{data}' in names


@pytest.mark.parametrize('path', DISTILLED, ids=lambda path: path.stem)
def test_student_teacher_and_schedule(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    cfg = Config.fromfile(path)
    classes = next(number for name, number in CLASSES.items() if name in path.stem)
    student = resolve_model_cfg(cfg.model.architecture)
    teacher = resolve_model_cfg(cfg.model.teacher)
    for model in (student, teacher):
        assert model.decode_head.num_classes == classes
        assert model.auxiliary_head.num_classes == classes
    assert teacher.backbone.depth == 101
    assert cfg.train_cfg.max_iters == 40000
    assert cfg.optim_wrapper.optimizer.lr == 0.02
    assert cfg.optim_wrapper.optimizer.weight_decay == 1e-4
    distiller = cfg.model.distiller
    assert distiller.loss_logits.loss_weight == 3.0 and distiller.loss_logits.tau == 2.0
    assert distiller.loss_feat.cam_weight == (0.0 if path.stem.endswith('_pam') else 0.3)
    assert distiller.loss_feat.pam_weight == (0.0 if path.stem.endswith('_cam') else 0.8)
    size = student.data_preprocessor.size
    assert (
        tuple(size)
        == dict(camvid=(360, 360), cityscapes=(512, 1024), voc=(512, 512))[
            next(name for name in CLASSES if name in path.stem)
        ]
    )
