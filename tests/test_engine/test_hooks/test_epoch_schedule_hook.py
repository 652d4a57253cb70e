"""EpochScheduleHook: the window follows the epoch, also after a resume."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import WeightSchedule
from mmkd_sod.models.distillers.entries import Entry
from mmkd_sod.models.losses import StructurePolishingLoss


class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.criterion = StructurePolishingLoss(every=1)

    def forward(self, x, label, mode):
        return dict(loss=self.criterion(x * self.scale, label))


class Watch(Hook):
    """Hook that runs after the schedule, in mmengine's order of equal priorities."""

    def __init__(self):
        self.windows = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.windows.append(runner.model.criterion.boundary.window)


def run(tmp_path, train_cfg, hook, resume=False, model=None):
    watch = Watch()
    data = [dict(x=torch.randn(1, 8, 8), label=torch.ones(8, 8)) for _ in range(4)]
    runner = Runner(
        model or Toy(),
        work_dir=str(tmp_path),
        resume=resume,
        custom_hooks=[hook, watch],
        train_dataloader=dict(
            dataset=data,
            batch_size=2,
            collate_fn=dict(type='default_collate'),
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        train_cfg=train_cfg,
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', interval=1, by_epoch=train_cfg.get('by_epoch', False)
            )
        ),
        log_level='ERROR',
        experiment_name=f'{tmp_path.name}{resume}{id(watch)}',
    )
    runner.train()
    return watch.windows


HOOK = dict(type='mmkd_sod.EpochScheduleHook')


def test_by_epoch_and_resumed(tmp_path):
    assert run(tmp_path, dict(by_epoch=True, max_epochs=3), HOOK) == [11, 11, 9, 9, 7, 7]
    assert run(tmp_path, dict(by_epoch=True, max_epochs=5), HOOK, resume=True) == [5, 5, 3, 3]


def test_by_iteration_and_resumed(tmp_path):
    hook = dict(HOOK, iters_per_epoch=2)
    cfg = dict(type='IterBasedTrainLoop', max_iters=3)
    assert run(tmp_path, cfg, hook) == [11, 11, 9]
    assert run(tmp_path, dict(cfg, max_iters=6), hook, resume=True) == [9, 7, 7]


def test_refuses_a_run_without_epochs(tmp_path):
    with pytest.raises(ConfigError, match='set iters_per_epoch'):
        run(tmp_path, dict(type='IterBasedTrainLoop', max_iters=1), HOOK)


class Ramp(BaseModel):
    """Model with the schedules of a composite distiller."""

    def __init__(self, **schedule):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.entry = Entry(WeightSchedule(**schedule))

    @property
    def criterion(self):
        """Return the loss that ``Watch`` reads."""
        return SimpleNamespace(boundary=SimpleNamespace(window=self.entry.factor))

    @property
    def counts_epochs(self):
        return self.entry.schedule.by_epoch

    def set_epoch(self, epoch):
        self.entry.update(epoch, by_epoch=True)

    def set_iter(self, iteration):
        self.entry.update(iteration, by_epoch=False)

    def forward(self, x, label, mode):
        return dict(loss=(x * self.scale).sum())


def test_weight_schedules_continue_after_a_resume(tmp_path):
    by_epoch, by_iter = tmp_path / 'epoch', tmp_path / 'iter'
    ramp = dict(begin=1, end=5, warmup=1, decay=1)
    model = Ramp(**ramp)
    cfg = dict(by_epoch=True, max_epochs=3)
    assert run(by_epoch, cfg, HOOK, model=model) == [0, 0, 0.5, 0.5, 1, 1]
    assert run(by_epoch, dict(cfg, max_epochs=6), HOOK, True, Ramp(**ramp)) == [
        1,
        1,
        0.5,
        0.5,
        0,
        0,
    ]
    model = Ramp(by_epoch=False, **ramp)
    assert run(by_iter, cfg, HOOK, model=model) == [0, 0.5, 1, 1, 0.5, 0]


def test_iterations_alone_need_no_epochs(tmp_path):
    ramp = dict(begin=2, warmup=1, by_epoch=False)
    cfg = dict(type='IterBasedTrainLoop', max_iters=3)
    assert run(tmp_path, cfg, HOOK, model=Ramp(**ramp)) == [0, 0, 0.5]
    assert run(tmp_path, dict(cfg, max_iters=5), HOOK, True, Ramp(**ramp)) == [1, 1]
    with pytest.raises(ConfigError, match='set iters_per_epoch'):
        run(tmp_path, dict(cfg, max_iters=6), HOOK, True, Ramp(begin=2))
