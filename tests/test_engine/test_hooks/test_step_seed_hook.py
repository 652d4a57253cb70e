"""A resumed run ends with the weights of an uninterrupted one, bit for bit on a CPU."""

import functools
import random

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.optim.optimizer import amp_optimizer_wrapper

from mmkd_sod.engine.hooks.step_seed_hook import _SeedSkipped
from mmkd_sod.utils.checkpoint_files import latest_checkpoint
from tests.methods import FOUR, METHODS, loader, runner


class Stop(Hook):
    """Interrupts at a step, as Ctrl-C does."""

    def __init__(self, step):
        self.step = step

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.step:
            raise KeyboardInterrupt


class Draws(BaseMetric):
    """Metric that draws random numbers."""

    def process(self, data_batch, data_samples):
        self.results.append(random.random() + np.random.rand() + torch.rand(1).item())

    def compute_metrics(self, results):
        return dict(drawn=sum(results))


def differences(one, other, where='') -> list:
    """Return the keys at which two nested states differ."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) or (one.isnan() & other.isnan()).all() else [where]
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return [
            found for key in one for found in differences(one[key], other[key], f'{where}.{key}')
        ]
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        return [
            found
            for i, (a, b) in enumerate(zip(one, other, strict=True))
            for found in differences(a, b, f'{where}.{i}')
        ]
    return [] if one == other else [where]


def final_state(work_dir) -> dict:
    """Return the training state in the newest checkpoint."""
    checkpoint = torch.load(latest_checkpoint(work_dir), weights_only=True)
    parts = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    return dict(
        {part: checkpoint[part] for part in parts},
        place=(checkpoint['meta']['epoch'], checkpoint['meta']['iter']),
    )


def train(method, folder, stops=(), **options) -> dict:
    """Train to the end, interrupted at these steps and resumed each time."""
    for i, step in enumerate(stops):
        with pytest.raises(KeyboardInterrupt):
            runner(method, folder, hooks=[Stop(step)], resume=i > 0, **options).train()
    runner(method, folder, resume=bool(stops), **options).train()
    return final_state(folder)


@pytest.mark.parametrize('method', METHODS)
def test_resumed_runs_equal_uninterrupted_ones(tmp_path, method):
    straight = train(method, tmp_path / 'a')
    stopped = train(method, tmp_path / 'b', stops=(3, 4))
    assert straight['place'] == (3, 6)
    assert differences(straight, stopped) == []
    # The compared state includes everything that a resume restores.
    names = ' '.join(straight['state_dict'])
    for part in dict(
        cskd_resampled=('gamma_cam', 'student_projection.draws'),
        cskd_learned=('gamma_pam', 'projection.query.weight'),
        hkd=('log_tau',),
    ).get(method, ()):
        assert part in names


@pytest.mark.parametrize('method', FOUR)
def test_runs_that_count_iterations(tmp_path, method, monkeypatch):
    # mmengine sleeps for two seconds at the end of each epoch.
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda _: None)
    straight = train(method, tmp_path / 'a', by_epoch=False, interval=2)
    stopped = train(method, tmp_path / 'b', stops=(3,), by_epoch=False, interval=2)
    assert straight['place'] == (0, 6)
    assert differences(straight, stopped) == []


@pytest.mark.parametrize(
    'skip',
    [
        lambda batches: [next(batches) for _ in range(2)],  # mmengine
        lambda batches: batches.skip_iter(2),  # onedl-mmengine
    ],
)
def test_skipped_batches_are_seeded_as_when_they_were_used(skip):
    seen = []
    source = (seen.append(i) or i for i in range(5))
    batches = _SeedSkipped(source, 2, lambda step: seen.append(f'seed {step}'))
    skip(batches)
    assert [*batches] == [2, 3, 4]
    assert seen == ['seed 0', 0, 'seed 1', 1, 'seed 2', 2, 3, 4]


@pytest.fixture
def amp_on_cpu(monkeypatch):
    """Return mmengine's AmpOptimWrapper with torch's scaler for CPU; it needs a GPU by default."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(
        amp_optimizer_wrapper, 'GradScaler', functools.partial(torch.amp.GradScaler, 'cpu')
    )
    return dict(
        type='AmpOptimWrapper',
        dtype='bfloat16',
        loss_scale=dict(init_scale=256.0, growth_interval=2),
        optimizer=dict(type='SGD', lr=1e-3, momentum=0.9),
    )


@pytest.mark.parametrize(
    'method',
    [
        'cskd_learned',
        *(
            pytest.param(method, marks=pytest.mark.slow)
            for method in METHODS
            if method != 'cskd_learned'
        ),
    ],
)
def test_the_scaler_of_mixed_precision_is_resumed(tmp_path, method, amp_on_cpu):
    straight = train(method, tmp_path / 'a', optim_wrapper=amp_on_cpu)
    stopped = train(method, tmp_path / 'b', stops=(3,), optim_wrapper=amp_on_cpu)
    assert differences(straight, stopped) == []
    # Six steps; the scale doubles after every second one.
    assert straight['optimizer']['loss_scaler']['scale'] == 256.0 * 2**3


def test_without_the_hook_a_resumed_run_differs(tmp_path, monkeypatch):
    monkeypatch.setattr('mmkd_sod.engine.hooks.StepSeedHook._seed', lambda *_: None)
    straight = train('cskd_resampled', tmp_path / 'a')
    stopped = train('cskd_resampled', tmp_path / 'b', stops=(3,))
    assert differences(straight, stopped) != []


@pytest.mark.parametrize('by_epoch', [True, False])
def test_validation_in_between_changes_nothing(tmp_path, by_epoch, monkeypatch):
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda _: None)
    options = dict(by_epoch=by_epoch, interval=1 if by_epoch else 2)
    train_cfg = (
        dict(by_epoch=True, max_epochs=3)
        if by_epoch
        else dict(type='IterBasedTrainLoop', max_iters=6)
    )
    validated = dict(
        val_cfg=dict(),
        val_evaluator=Evaluator(Draws()),
        val_dataloader=loader('crosskd', number=2),
        train_cfg=dict(train_cfg, val_interval=1),
    )
    without = train('crosskd', tmp_path / 'a', **options)
    with_it = train('crosskd', tmp_path / 'b', stops=(4,), **options, **validated)
    assert differences(without, with_it) == []


@pytest.mark.slow
@pytest.mark.parametrize('persistent', [True, False])
def test_worker_processes_are_resumed(tmp_path, persistent):
    options = dict(
        train_dataloader=dict(
            loader('cskd_resampled'), num_workers=2, persistent_workers=persistent
        )
    )
    straight = train('cskd_resampled', tmp_path / 'a', **options)
    stopped = train('cskd_resampled', tmp_path / 'b', stops=(2, 4), **options)
    assert differences(straight, stopped) == []
