"""mmrazor's distillers speak the interface."""

import copy

import pytest
from mmengine.registry import init_default_scope
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import CSKDDistiller, as_distiller
from mmkd_sod.models.distillers.mmrazor_adapter import MMRazorAdapter
from mmkd_sod.registry import MODELS
from tests.detection import build_distill, detector, losses_of
from tests.test_models.test_algorithms.test_dense_distill import PKD


def test_is_chosen_by_type():
    ours = CSKDDistiller(loss_feat=None)
    assert as_distiller(ours) is ours
    adapter = as_distiller(MODELS.build(copy.deepcopy(PKD)))
    assert isinstance(adapter, MMRazorAdapter)
    assert adapter.describe() == 'ConfigurableDistiller'
    assert adapter.requirements.inplace_off and not adapter.requirements.student_targets
    with pytest.raises(ConfigError, match='distiller builds a Linear; give a distiller of'):
        as_distiller(nn.Linear(1, 1))


def test_one_teacher_alone():
    init_default_scope('mmdet')
    with pytest.raises(ConfigError, match='ConfigurableDistiller compares with one teacher'):
        build_distill(
            distiller=copy.deepcopy(PKD), teacher=dict(a=detector(width=8), b=detector(width=8))
        )


def test_recorders_are_empty_after_a_failed_loss(monkeypatch):
    model = build_distill(distiller=copy.deepcopy(PKD))
    monkeypatch.setattr(
        model.distiller.distill_losses['loss_feat_kd'], 'forward', lambda *args, **kwargs: 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        losses_of(model)
    for manager in (model.distiller.student_recorders, model.distiller.teacher_recorders):
        assert not manager.get_recorder('neck').data_buffer


def test_a_feature_inside_an_activation_checkpoint_is_refused():
    cfg = copy.deepcopy(PKD)
    for side in ('student_recorders', 'teacher_recorders'):
        for recorder in cfg[side].values():
            recorder.update(source='backbone.layer2.0.conv1')
    model = build_distill(distiller=cfg)
    for block in model.student.backbone.layer2:
        block.with_cp = True
    with pytest.raises(ConfigError, match=r"'backbone\.layer2\.0\.conv1' .*with_cp=False"):
        losses_of(model)
