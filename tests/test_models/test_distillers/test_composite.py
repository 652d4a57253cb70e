"""CompositeDistiller adds up."""

import copy

import pytest
import torch

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import entries
from tests.detection import batch, build_distill, crosskd_cfg, losses_of, sum_loss
from tests.test_models.test_algorithms.test_dense_distill import PKD


def composite(*distillers):
    return dict(type='mmkd_sod.CompositeDistiller', distillers=copy.deepcopy(list(distillers)))


def test_losses_equal_those_of_each_alone():
    found = {}
    for cfg in (crosskd_cfg(), PKD, composite(crosskd_cfg(), PKD)):
        torch.manual_seed(2)
        losses = losses_of(build_distill(distiller=copy.deepcopy(cfg)))
        found[cfg['type']] = {k: v for k, v in losses.items() if k.startswith('distill')}
    both = found.pop('mmkd_sod.CompositeDistiller')
    alone = {k: v for losses in found.values() for k, v in losses.items()}
    assert both.keys() == alone.keys()
    assert all(torch.allclose(both[k], alone[k], rtol=1e-6) for k in both)


def test_names_must_differ():
    with pytest.raises(ConfigError, match="'loss_cls_kd'"):
        losses_of(build_distill(distiller=composite(crosskd_cfg(), crosskd_cfg(idx=3))))


def test_none_is_refused():
    with pytest.raises(ConfigError, match='at least one'):
        build_distill(distiller=composite())


SCHEDULED = dict(distiller=PKD, name='pkd', weight=0.5, begin=1, end=4, warmup=1)


def step_at(model, epoch, iteration=0):
    model.distiller.set_epoch(epoch)
    model.distiller.set_iter(iteration)
    torch.manual_seed(5)
    return losses_of(model)


def calls_of(monkeypatch, owner, name):
    """Count the calls of a method from here on."""
    calls, original = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kw: calls.append(1) or original(*args, **kw))
    return calls


def test_each_has_its_own_weight_begin_and_end():
    torch.manual_seed(2)
    plain = losses_of(build_distill(distiller=composite(crosskd_cfg(), PKD)))
    torch.manual_seed(2)
    model = build_distill(distiller=composite(dict(distiller=crosskd_cfg(), end=3), SCHEDULED))
    key = 'distill.pkd.loss_feat_kd'
    for epoch, (first, second) in enumerate([(1, None), (1, 0.25), (1, 0.5), (0, 0.5), (0, 0)]):
        losses = step_at(model, epoch)
        assert losses['distill.weight_0'] == first and losses['distill.weight_pkd'] == (second or 0)
        if second is None:
            assert key not in losses
        else:
            assert losses[key].item() == pytest.approx(
                second * plain['distill.loss_feat_kd'].item(), rel=1e-4
            )
        assert losses['distill.loss_cls_kd'].item() == pytest.approx(
            first * plain['distill.loss_cls_kd'].item(), rel=1e-4
        )


def test_weight_one_changes_no_bit():
    found = []
    for distiller in (
        crosskd_cfg(),
        composite(crosskd_cfg()),
        composite(dict(distiller=crosskd_cfg(), warmup=2)),
    ):
        torch.manual_seed(2)
        model = build_distill(distiller=copy.deepcopy(distiller))
        if hasattr(model.distiller, 'set_epoch'):
            model.distiller.set_epoch(2)
        torch.manual_seed(5)
        found.append({k: sum_loss(v) for k, v in losses_of(model).items() if 'loss' in k})
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        assert all(torch.equal(other[k], found[0][k]) for k in other)


def test_what_is_off_is_not_computed_and_its_teacher_does_not_run(monkeypatch):
    model = build_distill(
        distiller=composite(
            dict(distiller=crosskd_cfg(), begin=1, end=2), dict(distiller=PKD, begin=2, end=3)
        ),
        teacher_exact=True,
    )  # no trial of an acceleration among the calls
    crosskd, pkd = model.distiller.distillers
    runs = dict(
        teacher=calls_of(monkeypatch, model.teacher, 'forward'),
        crosskd=calls_of(monkeypatch, crosskd, 'step_losses'),
        recorders=calls_of(monkeypatch, crosskd, 'record_student'),
        pkd=calls_of(monkeypatch, pkd, 'compute_distill_losses'),
    )
    counts = []
    for epoch in range(4):
        step_at(model, epoch)
        counts.append({name: len(calls) for name, calls in runs.items()})
        for calls in runs.values():
            calls.clear()
    assert counts == [
        dict(teacher=0, crosskd=0, recorders=0, pkd=0),
        dict(teacher=1, crosskd=1, recorders=1, pkd=0),
        dict(teacher=1, crosskd=0, recorders=0, pkd=1),
        dict(teacher=0, crosskd=0, recorders=0, pkd=0),
    ]


def test_a_distiller_that_is_off_asks_for_no_student_targets():
    model = build_distill(
        distiller=composite(dict(distiller=crosskd_cfg(), end=1), PKD), calculate_student_loss=False
    )
    model.distiller.set_epoch(0)
    assert model.distiller.requirements.student_targets
    model.distiller.set_epoch(1)
    assert not model.distiller.requirements.student_targets
    assert set(step_at(model, 1)) == {'distill.loss_feat_kd', 'distill.weight_0'}


def test_by_iteration():
    model = build_distill(
        distiller=composite(dict(distiller=PKD, begin=10, warmup=1, by_epoch=False))
    )
    assert not model.distiller.counts_epochs
    weights = [
        step_at(model, 99, iteration)['distill.weight_0'].item() for iteration in (9, 10, 11, 12)
    ]
    assert weights == [0, 0.5, 1, 1]


def test_all_off_and_no_loss_of_the_student_is_refused():
    model = build_distill(
        distiller=composite(dict(distiller=PKD, begin=1)), calculate_student_loss=False
    )
    with pytest.raises(ConfigError, match='nothing to train on'):
        step_at(model, 0)
    assert step_at(model, 1)


def test_untold_is_refused():
    with pytest.raises(ConfigError, match='EpochScheduleHook'):
        losses_of(build_distill(distiller=composite(dict(distiller=PKD, end=3))))


def test_names_make_two_of_a_kind_possible():
    model = build_distill(
        distiller=composite(
            dict(distiller=crosskd_cfg(), name='shallow'),
            dict(distiller=crosskd_cfg(idx=3), name='deep', weight=0.1),
        )
    )
    assert {'distill.shallow.loss_cls_kd', 'distill.deep.loss_cls_kd'} < set(losses_of(model))


def test_learned_parts_are_reached_under_ddp_while_off(monkeypatch):
    monkeypatch.setattr(entries, 'is_distributed', lambda: True)
    learned = crosskd_cfg(adapter=True)
    for cfg in (
        composite(dict(distiller=learned, begin=1), PKD),
        composite(dict(distiller=learned, begin=1)),
    ):
        model = build_distill(distiller=cfg)
        losses = step_at(model, 0)
        assert losses['distill.loss_idle'] == 0
        model.parse_losses(losses)[0].backward()
        assert all(p.grad is not None for p in model.distiller.parameters())
        assert 'distill.loss_idle' not in step_at(model, 1)
    model = build_distill(distiller=learned)
    model.distillation_stopped = True
    assert losses_of(model)['distill.loss_idle'] == 0


def test_checkpoints_keep_their_keys():
    plain = build_distill(distiller=composite(crosskd_cfg(adapter=True), PKD))
    timed = build_distill(
        distiller=composite(dict(distiller=crosskd_cfg(adapter=True), end=3), SCHEDULED)
    )
    assert plain.state_dict().keys() == timed.state_dict().keys()
    assert any(key.startswith('distiller.distillers.0.adapters') for key in timed.state_dict())


def test_composites_nest():
    inner = composite(dict(distiller=PKD, end=1))
    model = build_distill(distiller=composite(dict(distiller=inner, weight=0.5), crosskd_cfg()))
    for module in model.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    first = losses_of(model)
    assert first['distill.loss_feat_kd'] > 0
    for module in model.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(1)
    assert losses_of(model).get('distill.loss_feat_kd', torch.zeros(1)).item() == 0


@pytest.mark.parametrize('told', [True, False])
def test_ddp_waits_for_no_distiller_that_is_off(tmp_path, monkeypatch, told):
    """With a real process group: without the loss of 0, DDP refuses the second step."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    model = build_distill(
        distiller=composite(dict(distiller=crosskd_cfg(adapter=True), begin=0, end=1), PKD)
    )
    data = model.data_preprocessor(batch(), training=True)
    distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    try:
        if not told:
            monkeypatch.setattr(entries, 'is_distributed', lambda: False)
        wrapped = DistributedDataParallel(model)

        def steps():
            for epoch in (0, 1, 1):
                model.distiller.set_epoch(epoch)
                losses = wrapped(**data, mode='loss')
                model.parse_losses(losses)[0].backward()

        if told:
            steps()
            assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        else:
            with pytest.raises(RuntimeError, match='unused parameters|finished reduction'):
                steps()
    finally:
        distributed.destroy_process_group()
