"""A checkpoint with NaN or infinite weights is never written, and replaces no good one."""

import math

import pytest
import torch
from mmengine.hooks import CheckpointHook, Hook

from mmkd_sod.errors import TrainingError
from tests.methods import runner


class Spoil(Hook):
    """Spoils the training at one step, as an overflowing gradient under finite losses does."""

    priority = 'VERY_HIGH'

    def __init__(self, step, spoil):
        self.step, self.spoil = step, spoil

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.step:
            self.spoil(runner)


def gradient(runner):
    """A step with a NaN gradient."""
    parameter = next(p for p in runner.model.parameters() if p.requires_grad)
    parameter.grad = torch.full_like(parameter, math.nan)
    runner.optim_wrapper.step()


def average(runner):
    hook = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
    next(hook.ema_model.module.parameters()).data[0] = math.nan


def momentum(runner):
    state = next(iter(runner.optim_wrapper.optimizer.state.values()))
    state['momentum_buffer'].fill_(math.inf)


def statistic(runner):
    buffers = dict(runner.model.named_buffers())
    next(b for name, b in buffers.items() if name.endswith('running_var')).fill_(math.inf)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.glob('*') if path.is_file()}


@pytest.mark.parametrize(
    ('spoil', 'named'),
    [
        (gradient, 'the weight '),
        (average, 'the moving average of '),
        (momentum, "the optimizer's momentum_buffer of parameter 0 "),
        (statistic, r'the weight \S*running_var'),
    ],
)
@pytest.mark.parametrize('by_epoch', [True, False])
def test_the_only_checkpoint_survives_a_bad_last_step(tmp_path, spoil, named, by_epoch):
    options = dict(by_epoch=by_epoch, interval=1 if by_epoch else 2, keep=1)
    method = 'weak_label' if spoil is statistic else 'crosskd'
    runner(method, tmp_path, steps=2, **options).train()
    before = content(tmp_path)
    run = runner(method, tmp_path, steps=4, resume=True, hooks=[Spoil(4, spoil)], **options)
    with pytest.raises(TrainingError, match=named) as info:
        run.train()
    first = f'{"epoch_1" if by_epoch else "iter_2"}.pth'
    assert f'{tmp_path}/{first}, the last checkpoint with finite weights, is kept' in str(
        info.value
    )
    after = content(tmp_path)
    assert first in after and 'last_checkpoint' in after
    assert {name: after[name] for name in before} == before
    assert [path.name for path in tmp_path.glob('*.pth')] == [first]


def test_save_last_writes_no_first_checkpoint_either(tmp_path):
    run = runner('crosskd', tmp_path, steps=2, interval=10, hooks=[Spoil(2, gradient)])
    with pytest.raises(TrainingError, match="'epoch_1.pth' is not written.*there is no checkpoint"):
        run.train()
    assert not list(tmp_path.glob('*.pth')) and not (tmp_path / 'last_checkpoint').exists()


def test_the_best_checkpoint_survives(tmp_path):
    best = dict(
        type='CheckpointHook', interval=10, save_last=False, save_best='score', rule='greater'
    )

    class Score(Hook):
        def after_train_epoch(self, runner):
            hook = next(h for h in runner.hooks if isinstance(h, CheckpointHook))
            hook.after_val_epoch(runner, dict(score=runner.epoch))

    run = runner('crosskd', tmp_path, steps=4, default_hooks=dict(checkpoint=best))
    run.register_hook(Spoil(4, gradient))
    run.register_hook(Score(), priority='LOWEST')
    with pytest.raises(TrainingError, match='best_score_epoch_1.pth.* is not written'):
        run.train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['best_score_epoch_0.pth']


def test_infinite_buffers_that_are_no_statistics_are_saved(tmp_path):
    run = runner('crosskd', tmp_path, steps=2)
    run.model.student.register_buffer('mask', torch.tensor([0.0, -math.inf]))
    run.train()
    saved = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['state_dict']
    assert saved['mask'].tolist() == [0.0, -math.inf]


def test_a_buffer_of_the_optimizer_that_is_not_saved_stops_nothing(tmp_path):
    run = runner('crosskd', tmp_path, steps=2, hooks=[Spoil(2, momentum)])
    next(h for h in run.hooks if isinstance(h, CheckpointHook)).save_optimizer = False
    run.train()
    assert (tmp_path / 'epoch_1.pth').is_file()
