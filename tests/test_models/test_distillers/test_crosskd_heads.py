"""CrossKD with every head: each split trains the student alone; batches at their edges."""

import runpy

import pytest
import torch

from mmkd_sod.registry import MODELS
from mmkd_sod.testing.small_detectors import SMALL_DETECTORS
from tests.conftest import ROOT
from tests.detection import batch, losses_of

TOOL = runpy.run_path(str(ROOT / 'tools' / 'head_table.py'))


def with_split(model, name, idx):
    """Exchange the distiller for one with another split."""
    cfg = TOOL['distiller_cfg'](type(model.student.bbox_head), idx)
    model.distiller = MODELS.build(cfg)
    model.distiller.attach(model.student, model.teachers)


def distill_losses(model, data=None):
    return {k: v for k, v in losses_of(model, data).items() if k.startswith('distill')}


@pytest.mark.parametrize('name', sorted(SMALL_DETECTORS))
def test_every_split_trains_the_student_alone(name):
    model = TOOL['build_pair'](name)
    reader, _ = model.distiller.reader.readers
    for idx in range(reader.depth + 1):
        with_split(model, name, idx)
        model.zero_grad()
        losses = distill_losses(model)
        assert len(losses) == 2 + reader.has_centerness
        sum(losses.values()).backward()
        for tower in reader.towers:
            for block, module in enumerate(reader._blocks(tower)):
                grads = [p.grad for p in module.parameters()]
                reached = any(grad is not None and bool(grad.any()) for grad in grads)
                assert reached == (block < idx), (tower, block)
        assert model.student.backbone.conv1.weight.grad.any()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        assert all(p.grad is None for p in model.teacher.parameters())


@pytest.mark.parametrize('name', sorted(SMALL_DETECTORS))
def test_batches_at_their_edges(name):
    model = TOOL['build_pair'](name)
    for data in (batch(images=1), batch(empty=(0,)), batch(empty=(0, 1))):
        losses = distill_losses(model, data)
        assert all(torch.isfinite(value) and value < 1e4 for value in losses.values()), losses
