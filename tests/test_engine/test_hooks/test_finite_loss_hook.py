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
