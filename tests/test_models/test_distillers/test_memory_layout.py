"""Which distillers take maps in any memory format."""
import pytest

from mmkd_sod.models.distillers.memory_layout import takes_any_layout
from mmkd_sod.registry import MODELS
from tests.detection import crosskd_cfg


def mmrazors(kind, source):
    what = dict(what=dict(type=f'mmrazor.{kind}', source=source))
    return dict(
        type='mmrazor.ConfigurableDistiller', student_recorders=what, teacher_recorders=what,
        distill_losses=dict(loss_kd=dict(type='mmrazor.PKDLoss')),
        loss_forward_mappings=dict(loss_kd=dict(
            preds_S=dict(recorder='what', from_student=True),
            preds_T=dict(recorder='what', from_student=False))))


@pytest.mark.parametrize(('cfg', 'wanted'), [
    (crosskd_cfg(), True),
    (mmrazors('ModuleOutputs', 'neck'), True),
    (mmrazors('ModuleInputs', 'neck.fpn_convs.0'), True),
    (mmrazors('ModuleOutputs', 'backbone.layer2'), True),
    (mmrazors('ModuleOutputs', 'bbox_head.gfl_cls'), False),
    (mmrazors('ModuleInputs', 'bbox_head'), False),
    (mmrazors('MethodOutputs', 'mmdet.models.dense_heads.GFLHead.forward'), False),
    (dict(type='mmkd_sod.WeakLabelDistiller'), False)])
def test_each_and_in_a_composite(cfg, wanted):
    assert takes_any_layout(MODELS.build(cfg)) is wanted
    both = dict(type='mmkd_sod.CompositeDistiller', distillers=[crosskd_cfg(), cfg])
    assert takes_any_layout(MODELS.build(both)) is wanted


def test_what_shows_no_recorders_minds():
    assert not takes_any_layout(object())
