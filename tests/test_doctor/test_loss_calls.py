"""Recorded calls of losses: inputs, outputs, and restored methods."""

import pytest
import torch
from torch import nn

from mmkd_sod.doctor.loss_calls import record_loss_calls, summarise
from mmkd_sod.models.losses import PNLADLoss
from mmkd_sod.registry import MODELS
from tests.detection import build_distill, losses_of


class Outer(nn.Module):
    """Distiller with a nested loss and a connector."""

    def __init__(self):
        super().__init__()
        self.inner = nn.MSELoss()
        self.connector = nn.Linear(2, 2)

    def forward(self, student, teacher, weight=None):
        return dict(loss=self.inner(self.connector(student), teacher))


def distiller(**losses):
    module = nn.Module()
    for name, loss in losses.items():
        setattr(module, name, loss)
    return module


def test_only_outermost_calls_are_recorded():
    module = distiller(loss=Outer(), adapter=nn.Linear(2, 2))
    with record_loss_calls(module) as calls:
        result = module.loss(module.adapter(torch.zeros(3, 2)), teacher=torch.ones(3, 2))
    assert [call.loss for call in calls] == ['loss']
    student, teacher = calls[0].arguments
    assert (student.name, teacher.name) == ('student', 'teacher')
    assert teacher.shapes == [(3, 2)] and (teacher.low, teacher.high, teacher.mean) == (1, 1, 1)
    assert calls[0].outputs[0] is result['loss']


def test_methods_of_student_and_teacher_are_recorded():
    module = distiller(pnlad=PNLADLoss())
    maps = [torch.randn(2, 1, 8, 8)]
    with record_loss_calls(module) as calls:
        term = module.pnlad.positive(maps, maps)
        module.pnlad.negative(maps, maps, 2.0)
    assert [call.loss for call in calls] == ['pnlad.positive', 'pnlad.negative']
    assert calls[0].outputs[0] is term


def test_an_error_is_raised_and_methods_are_restored():
    module = distiller(loss=Outer())
    with pytest.raises(RuntimeError), record_loss_calls(module) as calls:
        module.loss(torch.zeros(3, 5), torch.zeros(3, 2))
    assert 'forward' not in vars(module.loss) and not calls[0].outputs
    with record_loss_calls(module) as calls:
        module.loss(torch.zeros(3, 2), torch.zeros(3, 2))
    assert len(calls) == 1


def test_the_range_ignores_values_that_are_not_finite():
    found = summarise('x', [torch.tensor([1.0, float('nan')]), torch.tensor([3.0])])
    assert (found.low, found.high, found.finite) == (1, 3, False)
    assert not summarise('x', [torch.tensor([float('inf')])]).finite


@pytest.mark.parametrize('head', ['gfl', 'atss'])
def test_crosskd(head):
    model = build_distill(head)
    with record_loss_calls(model.distiller) as calls:
        found = losses_of(model)
    assert [call.loss for call in calls] == ['loss_cls_kd', 'loss_reg_kd']
    assert any(out is found['distill.loss_cls_kd'] for out in calls[0].outputs)
    assert calls[0].arguments[0].shapes == calls[0].arguments[1].shapes


def test_mmrazors_losses():
    loss = MODELS.build(dict(type='mmrazor.PKDLoss'))
    module = distiller(distill_losses=nn.ModuleDict(dict(loss_kd=loss)))
    feats = [torch.randn(2, 4, 8, 8), torch.randn(2, 4, 4, 4)]
    with record_loss_calls(module) as calls:
        module.distill_losses['loss_kd'](preds_T=feats[:1], preds_S=feats)
    assert [argument.name for argument in calls[0].arguments] == ['preds_S', 'preds_T']
    assert [len(argument.shapes) for argument in calls[0].arguments] == [2, 1]
