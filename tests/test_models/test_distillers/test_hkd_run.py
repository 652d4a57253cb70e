"""HKDDistiller in a run: the epoch hook drives its stages, and a resumed run goes on."""

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmkd_sod.models.distillers import HKDDistiller
from mmkd_sod.registry import MODELS
from tests.rgbd import batch, hkdnet


class Samples(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        data = batch(1, 32, 32)
        return dict(
            inputs={key: value[0] for key, value in data['inputs'].items()},
            data_samples=data['data_samples'][0],
        )


SCHEDULE = dict(stage_ends=(0, 1), tau_start=5, tau_step=2)


def runner(work_dir, wrapped=False, hook=(), **kwargs):
    distiller = dict(
        type='mmkd_sod.HKDDistiller',
        schedule=SCHEDULE,
        target_entropy=0.5,
        loss_pnlad=dict(type='mmkd_sod.PNLADLoss', level_weights=(4, 1, 1, 1)),
    )
    if wrapped:
        distiller = dict(type='mmkd_sod.CompositeDistiller', distillers=[distiller])
    model = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=MODELS.build(hkdnet()),
            teacher=MODELS.build(hkdnet()),
            distiller=distiller,
        )
    )
    return Runner(
        model=model,
        work_dir=str(work_dir),
        experiment_name=f'run{torch.rand(1).item()}',
        train_dataloader=dict(
            dataset=Samples(),
            sampler=dict(type='DefaultSampler', shuffle=False),
            batch_size=1,
            num_workers=0,
            collate_fn=pseudo_collate,
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        custom_hooks=[dict(type='mmkd_sod.EpochScheduleHook', **dict(hook))],
        log_level='ERROR',
        default_scope='mmkd_sod',
        **kwargs,
    )


@pytest.fixture
def told(monkeypatch):
    epochs, set_epoch = [], HKDDistiller.set_epoch

    def remember(self, epoch):
        epochs.append(epoch)
        set_epoch(self, epoch)

    monkeypatch.setattr(HKDDistiller, 'set_epoch', remember)
    yield epochs
    DefaultScope._instance_dict.clear()


def test_stages_go_on_after_a_resume(tmp_path, told):
    first = runner(tmp_path, train_cfg=dict(by_epoch=True, max_epochs=2))
    first.train()
    assert told == [0, 1] and first.model.distiller.stage.index == 1
    second = runner(tmp_path, train_cfg=dict(by_epoch=True, max_epochs=3), resume=True)
    second.load_or_resume()
    torch.testing.assert_close(second.model.distiller.log_tau, first.model.distiller.log_tau)
    second.train()
    assert told == [0, 1, 2]
    stage = second.model.distiller.stage
    assert (stage.index, stage.tau_pos, stage.tau_neg) == (2, 1, None)


def test_epochs_are_counted_from_steps_and_told_inside_a_composite(tmp_path, told):
    runner(
        tmp_path,
        wrapped=True,
        hook=dict(iters_per_epoch=2),
        train_cfg=dict(by_epoch=False, max_iters=5),
    ).train()
    assert told == [0, 1, 2]
