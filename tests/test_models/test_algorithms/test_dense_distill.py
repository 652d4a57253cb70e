"""DenseDistill: what it promises over mmrazor's SingleTeacherDistill."""

import copy

import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import get_state_dict, load_state_dict

from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.builder import build_model
from tests.detection import batch, build_distill, crosskd_cfg, detector, losses_of, sum_loss

PKD = dict(
    type='mmrazor.ConfigurableDistiller',
    student_recorders=dict(neck=dict(type='mmrazor.ModuleOutputs', source='neck')),
    teacher_recorders=dict(neck=dict(type='mmrazor.ModuleOutputs', source='neck')),
    distill_losses=dict(loss_feat_kd=dict(type='mmrazor.PKDLoss', loss_weight=6.0)),
    loss_forward_mappings=dict(
        loss_feat_kd=dict(
            preds_S=dict(recorder='neck', from_student=True),
            preds_T=dict(recorder='neck', from_student=False),
        )
    ),
)


def weights_of(model) -> dict:
    return {k: v.clone() for k, v in model.state_dict().items()}


def test_zero_weights_are_plain_training_bit_for_bit():
    init_default_scope('mmdet')
    torch.manual_seed(3)
    plain = build_model(detector())
    plain.init_weights()
    after_plain = torch.rand(1)
    torch.manual_seed(3)
    model = build_distill(distiller=crosskd_cfg(weight=0.0))
    model.init_weights()
    # Teacher and distiller took nothing from the random stream.
    assert torch.equal(torch.rand(1), after_plain)
    for key, value in plain.state_dict().items():
        assert torch.equal(model.student.state_dict()[key], value), key

    wanted = losses_of(plain.train())
    found = losses_of(model)
    for key, value in wanted.items():
        assert torch.equal(sum_loss(found['student.' + key]), sum_loss(value)), key
    plain.parse_losses(wanted)[0].backward()
    model.parse_losses(found)[0].backward()
    for (key, ours), theirs in zip(
        model.student.named_parameters(), plain.parameters(), strict=True
    ):
        assert (ours.grad is None) == (theirs.grad is None), key
        assert ours.grad is None or torch.equal(ours.grad, theirs.grad), key


def test_distill_losses_are_named_and_finite():
    losses = losses_of(build_distill())
    assert {'distill.loss_cls_kd', 'distill.loss_reg_kd'} < set(losses)
    assert all(torch.isfinite(sum_loss(v)) for v in losses.values())


def test_teacher_is_out_of_reach():
    model = build_distill()
    teacher = {id(p) for p in model.teacher.parameters()}
    assert not teacher & {id(p) for p in model.parameters()}
    assert all(m is not model.teacher for m in model.modules())
    losses = losses_of(model)
    before = weights_of(model.teacher)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model.parse_losses(losses)[0].backward()
    optimizer.step()
    model.parse_losses(losses_of(model))[0].backward()
    assert all(p.grad is None and not p.requires_grad for p in model.teacher.parameters())
    assert all(torch.equal(before[k], v) for k, v in model.teacher.state_dict().items())


def test_teacher_stays_in_eval_mode():
    model = build_distill()
    for mode in (True, False):
        assert model.train(mode) is model
        assert not any(m.training for m in model.teacher.modules())
        assert model.student.training is mode


def test_nothing_is_left_on_the_models_after_a_step():
    def found():
        return [
            (
                dict(module._forward_hooks),
                dict(module._forward_pre_hooks),
                {name: vars(module).get(name) for name in ('get_targets', 'forward')},
            )
            for module in (*model.student.modules(), *model.teacher.modules())
        ]

    model = build_distill()
    model._teacher.tune()  # its hooks stay
    before = found()
    losses_of(model)
    assert found() == before
    for module in model.student.modules():
        assert not {'get_targets', 'forward'} & set(vars(module))


def test_checkpoint_holds_the_plain_student(tmp_path):
    model = build_distill()
    state = get_state_dict(model)
    plain = build_model(detector())
    assert set(state) == set(plain.state_dict())
    load_state_dict(plain, state, strict=True)
    assert all(torch.equal(v, model.student.state_dict()[k]) for k, v in plain.state_dict().items())
    assert not any(k.startswith('architecture.') for k in state._metadata)
    assert state._metadata['backbone.bn1']['version'] == 2


@pytest.mark.parametrize('loader', [load_state_dict, torch.nn.Module.load_state_dict])
@pytest.mark.parametrize('names', ['ours', 'mmrazor'])
def test_checkpoint_loads_back(loader, names):
    model, other = build_distill(), build_distill()
    state = model.state_dict()
    if names == 'mmrazor':
        state = {'architecture.' + k: v for k, v in state.items()}
        state['teacher.backbone.conv1.weight'] = torch.zeros(1)
    with torch.no_grad():
        other.student.backbone.conv1.weight.add_(1)
    loader(other, state, strict=True)
    for key, value in other.student.state_dict().items():
        assert torch.equal(value, model.student.state_dict()[key]), key


def test_copies_share_the_teacher():
    model = build_distill()
    copied = copy.deepcopy(model)
    assert copied.teacher is model.teacher
    assert copied.student is not model.student
    assert copied.distiller.student is copied.student
    wanted, found = losses_of(model), losses_of(copied)
    for key in wanted:
        assert torch.equal(sum_loss(found[key]), sum_loss(wanted[key]))


def test_ema_model_shares_the_teacher_and_saves_plain_names():
    from mmengine.model import ExponentialMovingAverage

    model = build_distill()
    ema = ExponentialMovingAverage(model, 0.1)
    ema.update_parameters(model)
    assert ema.module.teacher is model.teacher
    assert {k.removeprefix('module.') for k in ema.state_dict()} == {*model.state_dict(), 'steps'}


def test_moves_to_another_dtype_with_its_teacher():
    model = build_distill().to(torch.float64)
    assert next(model.teacher.parameters()).dtype == torch.float64


def test_predicts_like_the_student():
    model = build_distill().eval()
    data = model.data_preprocessor(batch(), training=False)
    found = model(**data, mode='predict')
    wanted = model.student(**model.data_preprocessor(batch(), training=False), mode='predict')
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a.pred_instances.bboxes, b.pred_instances.bboxes)


def test_stopped_distillation_leaves_the_teacher_alone():
    model = build_distill()
    model.distillation_stopped = True
    model._teacher.module.forward = None  # would raise if it were called
    assert not any(key.startswith('distill') for key in losses_of(model))


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(teacher_channels_last=False),
        dict(teacher_channels_last=True),
        dict(teacher_fold_bn=False, teacher_channels_last=True),
        pytest.param(dict(teacher_compile=True), marks=pytest.mark.slow),
    ],
)
def test_exact_teacher_options_change_nothing(options):
    torch.manual_seed(1)
    wanted = losses_of(build_distill(teacher_exact=True))
    torch.manual_seed(1)
    found = losses_of(build_distill(**options))
    for key in wanted:
        assert sum_loss(found[key]).item() == pytest.approx(
            sum_loss(wanted[key]).item(), rel=1e-4
        ), key


def test_teacher_autocast_is_near():
    torch.manual_seed(1)
    wanted = losses_of(build_distill())
    torch.manual_seed(1)
    found = losses_of(build_distill(teacher_autocast='bf16'))
    key = 'distill.loss_cls_kd'
    assert found[key].item() == pytest.approx(wanted[key].item(), rel=0.05)
    with pytest.raises(ConfigError, match='teacher_autocast'):
        build_distill(teacher_autocast='int3')


@pytest.mark.parametrize('empty', [(0,), (0, 1)])
def test_images_without_objects(empty):
    model = build_distill()
    losses = losses_of(model, batch(empty=empty))
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)


def test_under_autocast():
    model = build_distill()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        total, _ = model.parse_losses(losses_of(model))
    total.backward()
    wanted = model.parse_losses(losses_of(model))[0]
    assert total.item() == pytest.approx(wanted.item(), rel=0.05)


def test_student_in_channels_last():
    model = build_distill()
    wanted = model.parse_losses(losses_of(model))[0].item()
    model.to(memory_format=torch.channels_last)
    assert model.parse_losses(losses_of(model))[0].item() == pytest.approx(wanted, rel=1e-5)


def test_takes_mmrazor_distillers_and_forgets_their_records():
    model = build_distill(distiller=copy.deepcopy(PKD))
    losses = losses_of(model)
    assert losses['distill.loss_feat_kd'] > 0
    assert not any(m.inplace for m in model.student.modules() if isinstance(m, torch.nn.ReLU))
    for manager in (model.distiller.student_recorders, model.distiller.teacher_recorders):
        assert not manager.get_recorder('neck').data_buffer


def test_refuses_another_normalisation():
    teacher = detector(width=8)
    teacher['data_preprocessor']['bgr_to_rgb'] = False
    with pytest.raises(ConfigError, match='check_preprocessor=False'):
        build_distill(teacher=teacher)
    assert build_distill(teacher=teacher, check_preprocessor=False) is not None


def test_random_teacher_is_refused_when_training_starts():
    model = build_distill(teacher_allow_missing=())
    with pytest.raises(CheckpointError, match='teacher_ckpt is None'):
        model.init_weights()


def test_a_built_teacher_is_trusted():
    init_default_scope('mmdet')
    model = build_distill(teacher=build_model(detector(width=8)), teacher_allow_missing=())
    model.init_weights()
    assert 'distill.loss_cls_kd' in losses_of(model)


def test_registered_under_the_root():
    init_default_scope('mmdet')
    assert ROOT.get('mmkd_sod.DenseDistill').__name__ == 'DenseDistill'


def test_optimizer_holds_no_teacher(tmp_path):
    model = build_distill()
    runner = Runner(
        model,
        str(tmp_path),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        train_dataloader=dict(
            dataset=[], batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler')
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        experiment_name=tmp_path.name,
    )
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    held = sum(len(group['params']) for group in wrapper.param_groups)
    assert held == len(list(model.student.parameters()))
