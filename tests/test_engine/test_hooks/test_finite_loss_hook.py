"""A NaN or infinite loss stops the run, or skips the step, before the weights change."""

import math

import pytest
import torch
from mmengine.hooks import Hook

from mmkd_sod.errors import ConfigError, TrainingError
from mmkd_sod.utils.checkpoint_files import latest_checkpoint
from tests.methods import FOUR, build, runner

# A term of each method.
TERMS = dict(
    crosskd='distill.loss_reg_kd',
    cskd_resampled='distill.loss_cam',
    weak_label='distill.loss_weak_1',
    hkd='distill.loss_fpd',
)


def spoil(model, term, steps, value=math.nan):
    """Set a term of the model to infinity or NaN in the given calls, counted from 1."""
    loss, calls = model.loss, []

    def spoilt(*args, **kwargs):
        losses = loss(*args, **kwargs)
        calls.append(None)
        if len(calls) in steps:
            found = losses[term]
            losses[term] = [x * value for x in found] if isinstance(found, list) else found * value
        return losses

    model.loss = spoilt
    return model


def run_of(method, folder, steps, value=math.nan, length=6, **hook):
    model = spoil(build(method), TERMS[method], steps, value)
    return runner(
        method,
        folder,
        model=model,
        steps=length,
        hooks=[dict(type='mmkd_sod.FiniteLossHook', **hook)],
    )


def finite(model) -> bool:
    return all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('method', FOUR)
def test_stops_with_name_step_images_and_checkpoint(tmp_path, method):
    run = run_of(method, tmp_path, {4})
    with pytest.raises(TrainingError) as info:
        run.train()
    sentence = str(info.value)
    assert sentence.startswith(f'{TERMS[method]} is NaN or infinite at step 4 (images: ')
    assert sentence.count('images/') == 4 and sentence.count('.jpg') == 4
    assert f'the last checkpoint with finite weights is {tmp_path}/epoch_1.pth' in sentence
    assert finite(run.model) and run.iter == 3


def test_infinity_counts_and_there_may_be_no_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match='at step 1 .*there is no checkpoint yet'):
        run_of('crosskd', tmp_path, {1}, math.inf).train()


def test_bad_weights_and_checkpoints_are_named(tmp_path):
    run = run_of('crosskd', tmp_path, ())
    run.train()
    newest = latest_checkpoint(tmp_path)
    checkpoint = torch.load(newest, weights_only=True)
    checkpoint['state_dict']['bbox_head.gfl_cls.weight'].fill_(math.nan)
    checkpoint['ema_state_dict']['module.bbox_head.gfl_cls.weight'].fill_(math.nan)
    torch.save(checkpoint, newest)
    run = runner(
        'crosskd', tmp_path, steps=8, resume=True, hooks=[dict(type='mmkd_sod.FiniteLossHook')]
    )
    with pytest.raises(TrainingError) as info:
        run.train()
    assert 'weights were NaN or infinite before this step, first' in str(info.value)
    assert 'epoch_2.pth' in str(info.value)


@pytest.mark.parametrize('method', FOUR)
def test_skips_the_step(tmp_path, method):
    run = run_of(method, tmp_path, {2, 4, 5}, action='skip')
    run.train()
    assert run.iter == 6 and finite(run.model)
    assert all(
        torch.as_tensor(value).isfinite().all()
        for state in run.optim_wrapper.optimizer.state.values()
        for value in state.values()
        if value is not None
    )
    # Methods of model and optimizer are restored.
    assert 'parse_losses' not in run.model.__dict__
    assert 'update_params' not in run.optim_wrapper.__dict__


def test_a_skipped_step_changes_no_weight(tmp_path):
    run = run_of('crosskd', tmp_path, {1, 2}, action='skip', length=2)
    before = {}

    class Remember(Hook):
        def before_train(self, runner):
            before.update({n: p.detach().clone() for n, p in runner.model.named_parameters()})

    run.register_hook(Remember())
    run.train()
    assert all(torch.equal(p, before[name]) for name, p in run.model.named_parameters())


def test_too_many_in_a_row_stop_the_run(tmp_path):
    with pytest.raises(TrainingError, match='at step 5'):
        run_of('crosskd', tmp_path, {1, 3, 4, 5}, action='skip', max_skipped=2).train()


@pytest.mark.parametrize('options', [dict(action='ignore'), dict(max_skipped=0)])
def test_refuses_other_settings(options):
    from mmkd_sod.engine.hooks import FiniteLossHook

    with pytest.raises(ConfigError, match='FiniteLossHook'):
        FiniteLossHook(**options)


def overflow(model, term, steps):
    """Give a term a gradient that overflows, in the given calls, and leave its value finite."""
    return spoil(model, term, steps, 1e38)


def overflowing_run(folder, steps, by_epoch=True, options=None, **hook):
    return runner(
        'crosskd',
        folder,
        model=overflow(build('crosskd'), 'distill.loss_reg_kd', steps),
        steps=6,
        by_epoch=by_epoch,
        hooks=[dict(type='mmkd_sod.FiniteLossHook', **hook)],
        **(options or {}),
    )


def test_an_overflowing_gradient_names_its_term_and_changes_no_weight(tmp_path):
    # Every step: that in which the terms are found, too.
    run = overflowing_run(tmp_path, range(3, 99))
    with pytest.raises(TrainingError) as info:
        run.train()
    sentence = str(info.value)
    assert sentence.startswith('the gradient of distill.loss_reg_kd (value ')
    assert 'is NaN or infinite at step 3 (images: ' in sentence and sentence.count('.jpg') == 4
    assert f'the last checkpoint with finite weights is {tmp_path}/epoch_1.pth' in sentence
    assert finite(run.model)


@pytest.mark.parametrize(('step', 'by_epoch'), [(6, True), (6, False), (4, False)])
def test_an_overflowing_gradient_stops_before_the_next_checkpoint(tmp_path, step, by_epoch):
    interval = 2 if not by_epoch else 1
    run = overflowing_run(tmp_path, range(step, 99), by_epoch, dict(interval=interval, keep=1))
    with pytest.raises(TrainingError, match=f'loss_reg_kd .*at step {step} '):
        run.train()
    kept = dict(epoch=step // 2 - 1, iter=step - 2)['epoch' if by_epoch else 'iter']
    name = f'{"epoch" if by_epoch else "iter"}_{kept}.pth'
    assert [path.name for path in tmp_path.glob('*.pth')] == [name]


def test_a_term_that_overflows_once_is_not_named_again(tmp_path):
    run = overflowing_run(tmp_path, {3})
    with pytest.raises(TrainingError, match='gradient of the sum of all loss terms.* at step 3 '):
        run.train()


def test_good_gradients_stay_as_they_are(tmp_path):
    states = []
    for hooks in ([], [dict(type='mmkd_sod.FiniteLossHook')]):
        run = runner('crosskd', tmp_path / str(len(states)), steps=4, hooks=hooks)
        run.train()
        states.append(run.model.state_dict())
        assert hasattr(run.optim_wrapper.step, '_with_counter')
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_skips_overflowing_gradients_too(tmp_path):
    run = overflowing_run(tmp_path, {2, 4, 5}, action='skip', max_skipped=2)
    run.train()
    assert run.iter == 6 and finite(run.model)
    with pytest.raises(TrainingError, match='at step 5'):
        overflowing_run(tmp_path / 'b', {3, 4, 5}, action='skip', max_skipped=2).train()


def test_a_collapsed_loss_scale_stops_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(
        'mmkd_sod.engine.hooks.finite_loss_hook.collapsed_loss_scale', lambda wrapper: 1e-30
    )
    with pytest.raises(TrainingError, match='loss scale of mixed precision fell to 1e-30 at step'):
        run_of('crosskd', tmp_path, ()).train()
