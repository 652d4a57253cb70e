"""The BCCD demo with other heads than GFL: each builds and takes a training step."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_detectors import random_batch
from tests.conftest import ROOT

DEMO = ROOT / 'configs' / 'demo'


@pytest.mark.parametrize('head', ['gfl', 'retinanet', 'atss', 'fcos'])
def test_one_step(head, monkeypatch):
    monkeypatch.chdir(ROOT)
    init_default_scope('mmdet')
    cfg = Config.fromfile(DEMO / f'bccd_{head}_crosskd.py')
    cfg.model.update(teacher_ckpt=None, teacher_allow_missing=['*'])
    model = MODELS.build(cfg.model).train()
    model.init_weights()
    assert model.student.bbox_head.num_classes == model.teacher.bbox_head.num_classes == 3
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    logged = model.train_step(random_batch(height=96, width=128), wrapper)
    assert all(torch.isfinite(value) for value in logged.values())
    assert ('distill.loss_center_kd' in logged) == (head == 'atss')


@pytest.mark.parametrize('role', ['teacher', 'student', 'crosskd'])
@pytest.mark.parametrize('head', ['retinanet', 'atss', 'fcos'])
def test_a_head_is_a_change_of_one_or_two_lines(head, role):
    ours, gfl = (
        (DEMO / f'bccd_{name}_{role}.py').read_text().splitlines() for name in (head, 'gfl')
    )
    assert len(ours) == len(gfl)
    changed = [line for line, other in zip(ours, gfl, strict=True) if line != other]
    docs = [line for line in changed if line.startswith('"""')]
    # In the distilled one also the two names of student and teacher files, and the checkpoint's.
    assert len(changed) - len(docs) <= (4 if role == 'crosskd' else 1)
